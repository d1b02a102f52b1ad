// A Logic App (Consumption) that polls the on-demand group every three minutes and puts new members into the queue
// pass-jobs.

import { Tags } from 'types.bicep'

@description('The name of the Logic App.')
param name string

@description('The region of the Logic App and its connection.')
param location string

@description('The tags.')
param tags Tags

@description('The object id of the on-demand group: the same as ON_DEMAND_GROUP_ID. Role-assignable groups do not work with this connector.')
@minLength(36)
@maxLength(36)
param groupId string

@description('The storage account of the function app (AzureWebJobsStorage), in this resource group.')
param storageAccountName string

@description('The account that reads the group: a user, who signs in to the connection once, or the identity of the Logic App.')
param readGroupAs 'user' | 'managedIdentity'

@description('The queue of OnGroupAdd/function.json.')
var queueName = 'pass-jobs'

@description('The built-in role that lets the Logic App add messages.')
var storageQueueDataMessageSender = subscriptionResourceId(
  'Microsoft.Authorization/roleDefinitions',
  'c6a89b2d-59bc-44d0-9896-0f6e12d7b80a'
)

@description('The connector Office 365 Groups.')
var groupsApi = subscriptionResourceId('Microsoft.Web/locations/managedApis', location, 'office365groups')

@description('Whether the Logic App reads the group with its own identity.')
var withIdentity = readGroupAs == 'managedIdentity'

resource storageAccount 'Microsoft.Storage/storageAccounts@2026-06-01' existing = {
  name: storageAccountName
}

resource queueService 'Microsoft.Storage/storageAccounts/queueServices@2026-06-01' existing = {
  parent: storageAccount
  name: 'default'

  resource queue 'queues' existing = {
    name: queueName
  }
}

resource groupsConnection 'Microsoft.Web/connections@2016-06-01' = {
  name: '${name}-groups'
  location: location
  tags: tags
  properties: union(
    {
      displayName: '${name}: Office 365 Groups'
      api: {
        id: groupsApi
      }
    },
    withIdentity ? { parameterValueType: 'Alternative' } : {}
  )
}

resource workflow 'Microsoft.Logic/workflows@2019-05-01' = {
  name: name
  location: location
  tags: tags
  identity: {
    type: 'SystemAssigned'
  }
  properties: {
    state: 'Enabled'
    definition: loadJsonContent('logic-app-workflow.json')
    parameters: {
      '$connections': {
        value: {
          office365groups: union(
            {
              id: groupsApi
              connectionId: groupsConnection.id
              connectionName: groupsConnection.name
            },
            withIdentity ? { connectionProperties: { authentication: { type: 'ManagedServiceIdentity' } } } : {}
          )
        }
      }
      groupId: {
        value: groupId
      }
      queueUrl: {
        value: '${storageAccount.properties.primaryEndpoints.queue}${queueName}'
      }
    }
  }
}

// The Logic App may add messages to this one queue: neither read them nor write to another.
resource mayAddMessages 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: queueService::queue
  name: guid(queueService::queue.id, workflow.id, storageQueueDataMessageSender)
  properties: {
    roleDefinitionId: storageQueueDataMessageSender
    principalId: workflow.identity.principalId
    principalType: 'ServicePrincipal'
  }
}

@description('The object id of the identity of the Logic App. With readGroupAs managedIdentity it needs permission to read the group.')
output principalId string = workflow.identity.principalId

@description('The name of the connection. With readGroupAs user, a user signs in to it.')
output connectionName string = groupsConnection.name
