// The identity of the app: it signs in to Microsoft Graph, Exchange Online, the storage account and Application Insights.

import { Tags } from 'types.bicep'

@description('The name of the identity.')
param name string

@description('The region.')
param location string

@description('The tags.')
param tags Tags

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: name
  location: location
  tags: tags
}

@description('The object id of the service principal, to which permissions are granted.')
output principalId string = identity.properties.principalId

@description('The client id.')
output clientId string = identity.properties.clientId
