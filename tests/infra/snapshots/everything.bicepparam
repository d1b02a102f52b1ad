// Every option on, and every setting with another value than its default.
using '../../../infra/main.bicep'

param environmentName = 'firstpass-test'
param location = 'swedencentral'
param mailFrom = 'welcome@contoso.com'
param alertTo = 'it-alerts@contoso.com; identity@contoso.com, it-alerts@contoso.com,'
param alertWebhookUrl = '@Microsoft.KeyVault(SecretUri=https://contoso.vault.azure.net/secrets/alerts)'
param digest = 'daily'
param deliveryWebhookUrl = '@Microsoft.KeyVault(SecretUri=https://contoso.vault.azure.net/secrets/delivery)'
param deliveryWebhookKey = '@Microsoft.KeyVault(SecretUri=https://contoso.vault.azure.net/secrets/delivery-key)'
param deliveryWebhookAudience = 'api://firstpass-hooks'

param maximumInstanceCount = 40
param instanceMemoryMB = 2048
param retentionDays = 730
param logRetentionDays = 180
param alertRules = true
param createTapApiClientId = '3f1c9a52-7b0e-4d8a-9c55-0e6f4a2b1d10'
param createTapAllowedApplications = '7a4c2e90-1d3b-4f6a-8e21-5b9d0c7f3a11, 04b07795-8ddb-461a-bbee-02f9e1bf7b46;'
param eventGrid = 'deliver'
param logicApp = 'managedIdentity'
param optionalFeatures = 'eligible-groups; domains,doctor'
param additionalSettings = { RUST_LOG: 'firstpass=debug' }

param sweepSchedule = '0 0 5 * * *'
param cloud = 'usgov'
param reportOnly = false
param paused = true
param joinerGroupId = '11111111-1111-4111-8111-111111111111'
param onDemandGroupId = '22222222-2222-4222-8222-222222222222'
param protectedGroupId = '33333333-3333-4333-8333-333333333333'
param leadDays = 10
param lateDays = 21
param passStart = 'now'
param dayOneTime = '08:30'
param workingDays = 'sun-thu,!12-25'
param timeZone = 'Europe/Stockholm'
param zones = 'officeLocation:Perth=Australia/Perth'
param hireDateZone = 'UTC'
param passLifetimeMinutes = 480
param passOneTime = 'false'
param serveDisabled = false
param serveGuests = 'internal'
param joinerCheck = 'methods,sign-ins,registration'
param joinerCheckIgnores = 'phone,fido2'
param joinerMaxAgeDays = 120
param sweepMax = 250
param nudgeAfter = '90m'
param reissueUnused = false
param language = 'de'
param companyName = 'Contoso'
param alertLanguage = 'de'
param mailTemplates = 'our-templates'
param senderName = 'Contoso IT'
param logo = 'logo.png'
param footerImage = 'https://www.contoso.com/footer.png'
param footerLink = 'https://www.contoso.com'
param accentColor = '#7a0000'
param textColor = '#002200'
param deviceSteps = 'windows,11111111-1111-4111-8111-111111111111=autopilot'
param mailTo = 'otherMails,manager'
param delivery = 'split'
param mailCodeTo = 'reception@contoso.com'
param mailCc = 'hr@contoso.com'
param mailCcCode = true
param mailsPerMinute = 20
param tenantDomains = 'contoso.com,contoso.se'
param addressSharedBy = 3
param addressSharedAllowed = 'reception@contoso.example'
param serviceDeskName = 'IT Service Desk'
param serviceDeskEmail = 'it@contoso.com'
param serviceDeskPhone = '+46 8 555 0100'
param serviceDeskPortalUrl = 'https://help.contoso.com'
param createTapOpenParameters = 'LifetimeInMinutes,Reason'
param createTapDefaultLifetimeMinutes = 60
param createTapDefaultOneTimeUseOnly = false
param createTapDefaultNotifyUser = true
param createTapDefaultDeliver = 'mail'
param createTapOpen = true
param createTapAllowedGroupId = '44444444-4444-4444-8444-444444444444'
param createTapAllowedCallers = 'managers,7a4c2e90-1d3b-4f6a-8e21-5b9d0c7f3a11'
param createTapLimitPerUser = 4
param createTapLimitPerCaller = 50
param ticketUrlHosts = 'tickets.contoso.com'
