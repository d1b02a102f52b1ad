// Step 1 of Event Grid: lets Microsoft Graph make a partner topic in this resource group, and says what
// firstpass's setting EVENT_GRID_PARTNER_TOPIC must be. The topic itself is made by Graph, when the sweep asks it to.

targetScope = 'resourceGroup'

@description('The name of the partner topic that Graph is to make. No other topic of the region may have it.')
@minLength(3)
@maxLength(50)
param partnerTopicName string = 'firstpass-${uniqueString(resourceGroup().id)}'

@description('The region of the partner topic, by its name and not its display name: westeurope, not West Europe.')
param location string = resourceGroup().location

@description('Until when Graph may make the topic, in UTC; at most a year ahead. It needs that once: renewals and events go on afterwards.')
param authorizedUntil string = dateTimeAdd(utcNow(), 'P7D')

@description('Partners that this resource group authorises already. It has one configuration, and what is not listed here ends with this deployment.')
param otherAuthorizedPartners array = []

// Microsoft Graph, as every tenant knows it.
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
