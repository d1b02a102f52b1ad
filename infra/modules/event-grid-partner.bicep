// Step 1 of Event Grid: authorises Microsoft Graph to create a partner topic in this resource group. Graph creates the topic
// when the sweep creates the subscription (EVENT_GRID_PARTNER_TOPIC).

@description('A partner that may create topics in the resource group.')
type Partner = {
  @description('The name of the partner.')
  partnerName: string

  @description('The id of the registration of the partner.')
  partnerRegistrationImmutableId: string

  @description('The end of the authorisation, in UTC.')
  authorizationExpirationTimeInUtc: string
}

@description('The end of the authorisation to create the topic, in UTC; at most a year ahead. Renewals and events do not need it.')
param authorizedUntil string

@description('Partners that this resource group authorises already. It has one configuration: partners missing here lose their authorisation.')
param otherAuthorizedPartners Partner[] = []

@description('Microsoft Graph, whose id is the same in every tenant.')
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
