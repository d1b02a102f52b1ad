// Step 1 of Event Grid: authorizes Microsoft Graph to create a partner topic in this resource group, and outputs the value of
// the setting EVENT_GRID_PARTNER_TOPIC. Graph creates the topic when the sweep creates the subscription.

targetScope = 'resourceGroup'

@description('The name of the partner topic that Graph creates. It must be unique in the region.')
@minLength(3)
@maxLength(50)
param partnerTopicName string = 'firstpass-${uniqueString(resourceGroup().id)}'

@description('The region of the partner topic, by its name and not its display name: westeurope, not West Europe.')
param location string = resourceGroup().location

@description('The end of the authorization to create the topic, in UTC; at most a year ahead. Renewals and events do not need it.')
param authorizedUntil string = dateTimeAdd(utcNow(), 'P7D')

@description('Partners that this resource group authorizes already. There is one configuration per resource group: partners missing here lose their authorization.')
param otherAuthorizedPartners array = []

// Microsoft Graph's application id, which is the same in every tenant.
var microsoftGraph = {
  partnerName: 'MicrosoftGraphAPI'
  partnerRegistrationImmutableId: 'c02e0126-707c-436d-b6a1-175d2748fb58'
  authorizationExpirationTimeInUtc: authorizedUntil
}

resource partnerConfiguration 'Microsoft.EventGrid/partnerConfigurations@2025-02-15' = {
  name: 'default'
  location: 'global'
  properties: {
    partnerAuthorization: {
      defaultMaximumExpirationTimeInDays: 7
      authorizedPartnersList: concat(otherAuthorizedPartners, [microsoftGraph])
    }
  }
}

@description('The value of the setting EVENT_GRID_PARTNER_TOPIC.')
output eventGridPartnerTopic string = 'EventGrid:?azuresubscriptionid=${subscription().subscriptionId}&resourcegroup=${resourceGroup().name}&partnertopic=${partnerTopicName}&location=${location}'

@description('The name of the topic, for the steps that follow.')
output partnerTopicName string = partnerTopicName
