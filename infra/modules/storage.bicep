// The storage account: the ledger, the queue, the package, and what the Functions host stores. It has no shared keys.

import { Tags } from 'types.bicep'

@description('The name of the storage account.')
@minLength(3)
@maxLength(24)
param name string

@description('The region.')
param location string

@description('The tags.')
param tags Tags

@description('After how many days without a change a record of a joiner is deleted.')
@minValue(90)
@maxValue(3650)
param retentionDays int

@description('Whether the account is reached by private endpoints only.')
param isPrivate bool

@description('IP addresses or ranges that may reach the account nevertheless: the machines of administrators.')
param allowedIpAddresses string[]

@description('Whether Event Grid writes to the queue, past the firewall.')
param allowTrustedServices bool

@description('The queue of OnGroupAdd/function.json.')
var queueName = 'pass-jobs'

@description('The container of the ledger.')
var ledgerContainer = 'ledger'

@description('The container of events that Event Grid did not deliver: event-grid-subscription.bicep makes it.')
var undeliveredContainer = 'pass-jobs-undelivered'

@description('The container of the package.')
var packageContainer = 'app-package'

@description('What is deleted by mistake can be restored for so long. What the lifecycle rule deletes stays so long, too.')
var softDelete = { enabled: true, days: 14 }

resource account 'Microsoft.Storage/storageAccounts@2026-06-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: 'Standard_LRS' }
  properties: {
    allowSharedKeyAccess: false
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    // The rules below count only where it is enabled.
    publicNetworkAccess: isPrivate && empty(allowedIpAddresses) && !allowTrustedServices ? 'Disabled' : 'Enabled'
    networkAcls: {
      defaultAction: isPrivate ? 'Deny' : 'Allow'
      bypass: isPrivate && !allowTrustedServices ? 'None' : 'AzureServices'
      ipRules: [for address in allowedIpAddresses: { value: address, action: 'Allow' }]
    }
  }

  resource blobs 'blobServices' = {
    name: 'default'
    properties: { deleteRetentionPolicy: softDelete, containerDeleteRetentionPolicy: softDelete }

    resource ledger 'containers' = {
      name: ledgerContainer
    }

    resource package 'containers' = {
      name: packageContainer
    }
  }

  resource queues 'queueServices' = {
    name: 'default'

    resource passJobs 'queues' = {
      name: queueName
    }
  }

  // An account has one policy, which replaces all rules that were made by hand. Of the ledger it deletes records of joiners only:
  // the members of groups, the state of sweeps, lists that wait for an approval and alerts that wait for a mail stay.
  resource lifecycle 'managementPolicies' = {
    name: 'default'
    properties: {
      policy: {
        rules: [
          {
            name: 'records-expire'
            type: 'Lifecycle'
            definition: {
              filters: { blobTypes: ['blockBlob'], prefixMatch: ['${ledgerContainer}/joiners/'] }
              actions: { baseBlob: { delete: { daysAfterModificationGreaterThan: retentionDays } } }
            }
          }
          {
            name: 'undelivered-events-expire'
            type: 'Lifecycle'
            definition: {
              filters: { blobTypes: ['blockBlob', 'appendBlob'], prefixMatch: ['${undeliveredContainer}/'] }
              actions: { baseBlob: { delete: { daysAfterModificationGreaterThan: 30 } } }
            }
          }
        ]
      }
    }
    dependsOn: [blobs]
  }
}
