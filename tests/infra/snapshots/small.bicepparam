// What an admin is asked for, and nothing else.
using '../../../infra/main.bicep'

param environmentName = 'firstpass'
param location = 'westeurope'
param mailFrom = 'welcome@contoso.com'
param alertTo = 'it-alerts@contoso.com'
