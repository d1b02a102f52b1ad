// For `az deployment group create`: write your values here, and keep the file. Each deployment replaces all application
// settings, so the file has to be whole. app.bicep describes every parameter.
using 'app.bicep'

param mailFrom = 'welcome@contoso.com'
param alertTo = 'it-alerts@contoso.com'

// false when the report is right: docs/DEPLOY.md.
param reportOnly = true

param joinerGroupId = ''
param protectedGroupId = ''
param companyName = ''
param timeZone = 'UTC'
param serviceDeskEmail = ''

// What the tenant's licences allow: docs/PERMISSIONS.md.
param optionalFeatures = 'sign-ins,domains'
