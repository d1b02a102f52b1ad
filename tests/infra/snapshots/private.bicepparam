// Private networking, an administrator's address, and the first step of Event Grid.
using '../../../infra/main.bicep'

param environmentName = 'firstpass'
param location = 'westeurope'
param mailFrom = 'welcome@contoso.com'
param alertTo = 'it-alerts@contoso.com'

param alertRules = false
param privateNetworking = true
param networkAddressSpace = '10.30.0.0/26'
param allowedIpAddresses = '203.0.113.10; 203.0.113.11,'
param eventGrid = 'authorise'
param eventGridAuthorisedUntil = '2027-01-01T00:00:00Z'
param onDemandGroupId = '22222222-2222-4222-8222-222222222222'
