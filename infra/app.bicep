// firstpass in one resource group: the function app and everything that it needs. main.bicep makes the resource group and
// calls this; `az deployment group create` and the button of docs/DEPLOY.md use it alone.
//
// Every parameter has a default, or is asked for: the portal and azd take parameters that may be null for required ones.

import { AppSettings, Tags, list, secretReference } from 'modules/types.bicep'

@description('The region. It must have Flex Consumption: az functionapp list-flexconsumption-locations.')
param location string = resourceGroup().location

@description('Tags of all resources.')
param tags Tags = {}

@description('MAIL_FROM: the mailbox that sends all mails.')
@minLength(6)
param mailFrom string

@description('ALERT_TO: who gets the alerts; several separated by commas.')
@minLength(6)
param alertTo string

// Azure.
@description('How many instances of the app run at most. Limits of the mailbox hold for one instance; a region may refuse less than 40.')
@minValue(1)
@maxValue(1000)
param maximumInstanceCount int = 1
@description('The memory of an instance, in MB.')
param instanceMemoryMB 512 | 2048 | 4096 = 512
@description('After how many days without a change a record of a joiner is deleted. Soft delete keeps it for 14 days more.')
@minValue(90)
@maxValue(3650)
param retentionDays int = 400
@description('How many days the log is kept.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 90
@description('Whether alert rules of Azure Monitor mail to ALERT_TO, besides the app itself.')
param alertRules bool = true
@description('The client id of the app registration for App Service authentication of CreateTap; empty: off.')
param createTapApiClientId string = ''
@description('Client ids of applications that the platform lets through to CreateTap, separated by commas; empty: any of the tenant, and CREATE_TAP_ALLOWED_CALLERS decides alone.')
param createTapAllowedApplications string = ''
@description('Whether the app reaches the storage account by private endpoints only.')
param privateNetworking bool = false
@description('With privateNetworking: the address space of the virtual network, /26 or larger.')
param networkAddressSpace string = '10.20.0.0/24'
@description('With privateNetworking: whether a NAT gateway is the way out to Microsoft Graph. Without it the network needs another one.')
param natGateway bool = true
@description('With privateNetworking: public IP addresses that may reach the storage account nevertheless, separated by commas, for the commands of administrators.')
param allowedIpAddresses string = ''
@description('Notifications about the on-demand group by Event Grid: authorise lets Graph create the topic; deliver, when the topic is activated and has an identity, sends its events to the queue.')
param eventGrid 'off' | 'authorise' | 'deliver' = 'off'
@description('With eventGrid authorise: when the authorisation to create the topic ends, in UTC.')
param eventGridAuthorisedUntil string = dateTimeAdd(utcNow(), 'P7D')
@description('Notifications about the on-demand group by a Logic App, and who reads the group for it. It cannot reach a private storage account.')
param logicApp 'off' | 'user' | 'managedIdentity' = 'off'
@description('Further features of permissions.json that the scripts grant for, separated by commas: sign-ins, eligible-groups, hidden-groups, domains, leave-dates, doctor.')
param optionalFeatures string = ''
@description('Further application settings, such as RUST_LOG or HTTPS_PROXY. No secrets: whoever reads the deployment reads them.')
param additionalSettings AppSettings = {}

// Settings of firstpass: docs/SETTINGS.md.
@description('SWEEP_SCHEDULE: when the sweep runs, in UTC: second minute hour day month weekday.')
param sweepSchedule string = '0 0 * * * *'
@description('ALERT_WEBHOOK_URL: where alerts go besides; a reference to the secret in Key Vault that has the URL of a workflow of Teams.')
param alertWebhookUrl string = ''
@description('DIGEST: how often a digest is sent.')
param digest 'weekly' | 'daily' | 'off' = 'weekly'
@description('DELIVERY_WEBHOOK_URL: a reference to the secret in Key Vault that has the URL of the endpoint that codes are delivered to.')
param deliveryWebhookUrl string = ''
@description('DELIVERY_WEBHOOK_KEY: a reference to the secret in Key Vault that has the key with which requests with codes are signed.')
param deliveryWebhookKey string = ''
@description('DELIVERY_WEBHOOK_AUDIENCE: the application id that the token for that endpoint is for.')
param deliveryWebhookAudience string = ''
@description('CLOUD: the cloud of the tenant and the storage account. Flex Consumption exists in public only.')
param cloud 'public' | 'usgov' | 'usgov-dod' = 'public'
@description('REPORT_ONLY: sweeps say who would get a pass, and make none. Set it to false when the report is right.')
param reportOnly bool = true
@description('PAUSED: nothing is made or mailed.')
param paused bool = false
@description('JOINER_GROUP_ID: the group whose members are joiners; empty: all users with a hire date.')
param joinerGroupId string = ''
@description('ON_DEMAND_GROUP_ID: the group whose new members get a pass at once; empty: none.')
param onDemandGroupId string = ''
@description('PROTECTED_GROUP_ID: the group whose members get no pass from any function; empty: none.')
param protectedGroupId string = ''
@description('EVENT_GRID_PARTNER_TOPIC: the notification URL of a partner topic elsewhere. The parameter eventGrid computes it for this resource group.')
param eventGridPartnerTopic string = ''
@description('LEAD_DAYS: how many days before day one the mail is sent.')
@minValue(0)
@maxValue(30)
param leadDays int = 7
@description('LATE_DAYS: how many days after day one a joiner who was never sent a pass still gets one.')
@minValue(0)
@maxValue(60)
param lateDays int = 14
@description('PASS_START: whether the pass opens on day one, or when it is made.')
param passStart 'day-one' | 'now' = 'day-one'
@description('DAY_ONE_TIME: when passes open, in the time zone of the joiner; empty: 07:00, or 09:00 if the policy allows less than three hours.')
param dayOneTime string = ''
@description('WORKING_DAYS: weekdays and days off, as in mon-fri,!12-25; empty: those of the country of the joiner.')
param workingDays string = ''
@description('TIME_ZONE: the IANA time zone of joiners whose country is unknown or has several.')
param timeZone string = 'UTC'
@description('ZONES: which places are in which time zone: officeLocation:Perth=Australia/Perth; city:Lima=America/Lima.')
param zones string = ''
@description('HIRE_DATE_ZONE: how the first day is read from the hire date: joiner, UTC or an IANA time zone.')
param hireDateZone string = 'joiner'
@description('PASS_LIFETIME_MINUTES: the lifetime of a pass; 0: the maximum of the policy, at most a day.')
@minValue(0)
@maxValue(43200)
param passLifetimeMinutes int = 0
@description('PASS_ONE_TIME: whether a pass works only once; empty: unless DEVICE_STEPS needs more.')
@allowed(['', 'true', 'false'])
param passOneTime string = ''
@description('SERVE_DISABLED: whether disabled accounts get a pass. Many are disabled until day one.')
param serveDisabled bool = true
@description('SERVE_GUESTS: which guests get a pass.')
param serveGuests 'none' | 'internal' = 'none'
@description('JOINER_CHECK: what is checked before an account counts as a joiner: methods, registration, sign-ins, age, or none; empty: methods, age, and sign-ins where they can be read.')
param joinerCheck string = ''
@description('JOINER_CHECK_IGNORES: kinds of authentication methods that the company registers ahead, as in phone,fido2.')
param joinerCheckIgnores string = ''
@description('JOINER_MAX_AGE_DAYS: how many days before day one an account may have been created.')
@minValue(1)
@maxValue(3650)
param joinerMaxAgeDays int = 90
@description('SWEEP_MAX: how many people may be mailed a pass within 24 hours without an approval.')
@minValue(1)
@maxValue(100000)
param sweepMax int = 100
@description('NUDGE_AFTER: how long after the opening a joiner who has not used the pass is reminded: 90m, 4h, or off.')
param nudgeAfter string = '4h'
@description('REISSUE_UNUSED: whether a joiner whose pass ended unused gets another one.')
param reissueUnused bool = true
@description('ALERT_LANGUAGE: the language of mails to ALERT_TO.')
param alertLanguage string = 'en'
@description('LANGUAGE: the language of joiners whose own is unknown or has no mails.')
param language string = 'en'
@description('COMPANY_NAME: the name of the company in the mails.')
param companyName string = ''
@description('MAIL_TEMPLATES: the folder of the templates of the mails; empty for templates/ in the package.')
param mailTemplates string = ''
@description('SENDER_NAME: the name beside the address of the sender.')
param senderName string = ''
@description('LOGO: an image file in the folder of the templates, or an https:// address.')
param logo string = ''
@description('FOOTER_IMAGE: the image below the mails, likewise.')
param footerImage string = ''
@description('FOOTER_LINK: where the image below the mails leads.')
param footerLink string = ''
@description('ACCENT_COLOR: the colour of links, as #rrggbb.')
param accentColor string = ''
@description('TEXT_COLOR: the colour of the text, as #rrggbb.')
param textColor string = ''
@description('DEVICE_STEPS: what joiners sign in on first: browser, windows, autopilot, hybrid or both; <group id>=… for the members of a group; several separated by commas.')
param deviceSteps string = 'browser'
@description('MAIL_TO: where the address of the joiner is: otherMails, extensionAttribute1 to 15, manager; several separated by commas.')
param mailTo string = 'otherMails'
@description('DELIVERY: how a code gets to the joiner: mail, split (somebody hands it over), or webhook.')
@allowed(['mail', 'split', 'webhook'])
param delivery string = 'mail'
@description('MAIL_CODE_TO: with split, who hands the code over: manager or one address; empty: manager.')
param mailCodeTo string = ''
@description('MAIL_CC: who is told that a joiner was sent a code: manager, addresses, or none.')
param mailCc string = 'manager'
@description('MAIL_CC_CODE: whether they get a copy of the mail with the code, and not a note without it.')
param mailCcCode bool = false
@description('MAILS_PER_MINUTE: how many mails a minute the mailbox accepts. Exchange Online: 30.')
@minValue(1)
@maxValue(100000)
param mailsPerMinute int = 30
@description('TENANT_DOMAINS: the mail domains of the tenant; empty: what a sweep finds.')
param tenantDomains string = ''
@description('ADDRESS_SHARED_BY: how many people may have the same private address.')
@minValue(1)
@maxValue(10000)
param addressSharedBy int = 2
@description('ADDRESS_SHARED_ALLOWED: addresses that any number of people may have.')
param addressSharedAllowed string = ''
@description('SERVICE_DESK_NAME: the name of the service desk in the mails.')
param serviceDeskName string = ''
@description('SERVICE_DESK_EMAIL: the address of the service desk.')
param serviceDeskEmail string = ''
@description('SERVICE_DESK_PHONE: the phone number of the service desk.')
param serviceDeskPhone string = ''
@description('SERVICE_DESK_PORTAL_URL: the page of the service desk, https only.')
param serviceDeskPortalUrl string = ''
@description('CREATE_TAP_OPEN_PARAMETERS: the parameters that callers of CreateTap may pass, or none; empty: those that docs/SETTINGS.md lists.')
param createTapOpenParameters string = ''
@description('CREATE_TAP_DEFAULT_LIFETIME_MINUTES: the default lifetime of passes of CreateTap.')
@minValue(10)
@maxValue(43200)
param createTapDefaultLifetimeMinutes int = 240
@description('CREATE_TAP_DEFAULT_ONE_TIME_USE_ONLY: whether passes of CreateTap work only once by default.')
param createTapDefaultOneTimeUseOnly bool = true
@description('CREATE_TAP_DEFAULT_NOTIFY_USER: whether the user gets a mail without the code by default.')
param createTapDefaultNotifyUser bool = false
@description('CREATE_TAP_DEFAULT_DELIVER: where CreateTap delivers the code by default.')
param createTapDefaultDeliver 'response' | 'mail' = 'response'
@description('CREATE_TAP_OPEN: true: everyone with a function key may have a pass made for every user whom no other rule excludes.')
param createTapOpen bool = false
@description('CREATE_TAP_ALLOWED_GROUP_ID: the group whose members may get a pass by CreateTap; empty: every user, where CreateTap is on.')
param createTapAllowedGroupId string = ''
@description('CREATE_TAP_ALLOWED_CALLERS: who may call CreateTap: object ids, app ids, managers. Needs createTapApiClientId.')
param createTapAllowedCallers string = ''
@description('CREATE_TAP_LIMIT_PER_USER: how many passes of CreateTap a user gets in an hour.')
@minValue(1)
@maxValue(1000)
param createTapLimitPerUser int = 5
@description('CREATE_TAP_LIMIT_PER_CALLER: how many calls a caller may make in an hour.')
@minValue(1)
@maxValue(100000)
param createTapLimitPerCaller int = 60
@description('TICKET_URL_HOSTS: the hosts that a ServiceDeskTicketUrl may have; empty: that of SERVICE_DESK_PORTAL_URL.')
param ticketUrlHosts string = ''

@description('Prefixes of names by resource type, as Microsoft recommends them.')
var abbreviations = loadJsonContent('abbreviations.json')

@description('The same for every deployment to this resource group, and unique in Azure.')
var token = uniqueString(resourceGroup().id)

@description('The end of names.')
var suffix = 'firstpass-${token}'

@description('The names that several modules need.')
var names = {
  identity: '${abbreviations.managedIdentityUserAssignedIdentities}${suffix}'
  storageAccount: '${abbreviations.storageStorageAccounts}firstpass${token}'
  applicationInsights: '${abbreviations.insightsComponents}${suffix}'
  functionApp: '${abbreviations.webSitesFunctions}${suffix}'
  network: '${abbreviations.networkVirtualNetworks}${suffix}'
}

@description('The notification URL of the partner topic that Graph creates in this resource group.')
var graphTopic = 'EventGrid:?azuresubscriptionid=${subscription().subscriptionId}&resourcegroup=${resourceGroup().name}&partnertopic=${suffix}&location=${location}'

@description('The blob service of the storage account.')
var blobs = 'https://${names.storageAccount}.blob.${environment().suffixes.storage}'

@description('The settings of firstpass by their names. An empty text is left out, so that the default of the app applies.')
var settings = {
  MAIL_FROM: mailFrom
  ALERT_TO: alertTo
  ALERT_WEBHOOK_URL: secretReference(alertWebhookUrl)
  DIGEST: digest
  DELIVERY_WEBHOOK_URL: secretReference(deliveryWebhookUrl)
  DELIVERY_WEBHOOK_KEY: secretReference(deliveryWebhookKey)
  DELIVERY_WEBHOOK_AUDIENCE: deliveryWebhookAudience
  LEDGER_URL: '${blobs}/ledger'
  SWEEP_SCHEDULE: sweepSchedule
  CLOUD: cloud
  REPORT_ONLY: string(reportOnly)
  PAUSED: string(paused)
  JOINER_GROUP_ID: joinerGroupId
  ON_DEMAND_GROUP_ID: onDemandGroupId
  PROTECTED_GROUP_ID: protectedGroupId
  EVENT_GRID_PARTNER_TOPIC: eventGrid == 'off' ? eventGridPartnerTopic : graphTopic
  LEAD_DAYS: string(leadDays)
  LATE_DAYS: string(lateDays)
  PASS_START: passStart
  DAY_ONE_TIME: dayOneTime
  WORKING_DAYS: workingDays
  TIME_ZONE: timeZone
  ZONES: zones
  HIRE_DATE_ZONE: hireDateZone
  PASS_LIFETIME_MINUTES: passLifetimeMinutes == 0 ? '' : string(passLifetimeMinutes)
  PASS_ONE_TIME: passOneTime
  SERVE_DISABLED: string(serveDisabled)
  SERVE_GUESTS: serveGuests
  JOINER_CHECK: joinerCheck
  JOINER_CHECK_IGNORES: joinerCheckIgnores
  JOINER_MAX_AGE_DAYS: string(joinerMaxAgeDays)
  SWEEP_MAX: string(sweepMax)
  NUDGE_AFTER: nudgeAfter
  REISSUE_UNUSED: string(reissueUnused)
  ALERT_LANGUAGE: alertLanguage
  LANGUAGE: language
  MAIL_TEMPLATES: mailTemplates
  COMPANY_NAME: companyName
  SENDER_NAME: senderName
  LOGO: logo
  FOOTER_IMAGE: footerImage
  FOOTER_LINK: footerLink
  ACCENT_COLOR: accentColor
  TEXT_COLOR: textColor
  DEVICE_STEPS: deviceSteps
  MAIL_TO: mailTo
  DELIVERY: delivery
  MAIL_CODE_TO: mailCodeTo
  MAIL_CC: mailCc
  MAIL_CC_CODE: string(mailCcCode)
  MAILS_PER_MINUTE: string(mailsPerMinute)
  TENANT_DOMAINS: tenantDomains
  ADDRESS_SHARED_BY: string(addressSharedBy)
  ADDRESS_SHARED_ALLOWED: addressSharedAllowed
  SERVICE_DESK_NAME: serviceDeskName
  SERVICE_DESK_EMAIL: serviceDeskEmail
  SERVICE_DESK_PHONE: serviceDeskPhone
  SERVICE_DESK_PORTAL_URL: serviceDeskPortalUrl
  CREATE_TAP_OPEN_PARAMETERS: createTapOpenParameters
  CREATE_TAP_DEFAULT_LIFETIME_MINUTES: string(createTapDefaultLifetimeMinutes)
  CREATE_TAP_DEFAULT_ONE_TIME_USE_ONLY: string(createTapDefaultOneTimeUseOnly)
  CREATE_TAP_DEFAULT_NOTIFY_USER: string(createTapDefaultNotifyUser)
  CREATE_TAP_DEFAULT_DELIVER: createTapDefaultDeliver
  CREATE_TAP_OPEN: string(createTapOpen)
  CREATE_TAP_ALLOWED_GROUP_ID: createTapAllowedGroupId
  CREATE_TAP_ALLOWED_CALLERS: createTapAllowedCallers
  CREATE_TAP_LIMIT_PER_USER: string(createTapLimitPerUser)
  CREATE_TAP_LIMIT_PER_CALLER: string(createTapLimitPerCaller)
  TICKET_URL_HOSTS: ticketUrlHosts
}

@description('What the identity needs permissions for: the keys of permissions.json.')
var features = union(
  ['passes', 'guard'],
  empty(joinerCheck) || contains(joinerCheck, 'methods') ? ['methods'] : [],
  contains(joinerCheck, 'sign-ins') ? ['sign-ins'] : [],
  contains(joinerCheck, 'registration') ? ['registration'] : [],
  empty('${joinerGroupId}${onDemandGroupId}${protectedGroupId}${createTapAllowedGroupId}') ? [] : ['groups'],
  contains(createTapAllowedCallers, 'managers') ? ['managers'] : [],
  empty(settings.EVENT_GRID_PARTNER_TOPIC) ? [] : ['event-grid'],
  list(optionalFeatures)
)

module identity 'modules/identity.bicep' = {
  params: { name: names.identity, location: location, tags: tags }
}

module storage 'modules/storage.bicep' = {
  params: {
    name: names.storageAccount
    location: location
    tags: tags
    retentionDays: retentionDays
    isPrivate: privateNetworking
    allowedIpAddresses: list(allowedIpAddresses)
    allowTrustedServices: eventGrid != 'off'
  }
}

module monitoring 'modules/monitoring.bicep' = {
  params: {
    workspaceName: '${abbreviations.operationalInsightsWorkspaces}${suffix}'
    applicationInsightsName: names.applicationInsights
    location: location
    tags: tags
    retentionDays: logRetentionDays
  }
}

module roles 'modules/roles.bicep' = {
  params: {
    identityName: names.identity
    storageAccountName: names.storageAccount
    applicationInsightsName: names.applicationInsights
  }
  dependsOn: [identity, storage, monitoring]
}

module network 'modules/network.bicep' = if (privateNetworking) {
  params: {
    name: names.network
    endpointPrefix: '${abbreviations.networkPrivateEndpoints}${suffix}-'
    natGatewayName: natGateway ? '${abbreviations.networkNatGateways}${suffix}' : ''
    publicAddressName: '${abbreviations.networkPublicIPAddresses}${suffix}'
    location: location
    tags: tags
    addressSpace: networkAddressSpace
    storageAccountName: names.storageAccount
  }
  dependsOn: [storage]
}

module functionApp 'modules/function-app.bicep' = {
  params: {
    name: names.functionApp
    planName: '${abbreviations.webServerFarms}${suffix}'
    location: location
    tags: tags
    identityName: names.identity
    storageAccountName: names.storageAccount
    packageUrl: '${blobs}/app-package'
    applicationInsightsName: names.applicationInsights
    maximumInstanceCount: maximumInstanceCount
    instanceMemoryMB: instanceMemoryMB
    subnetId: privateNetworking ? resourceId('Microsoft.Network/virtualNetworks/subnets', names.network, 'app') : ''
    settings: toObject(
      filter(items(union(settings, additionalSettings)), setting => !empty(setting.value)),
      setting => setting.key,
      setting => setting.value
    )
  }
  // The app looks for its package when it is made.
  dependsOn: [roles, network]
}

module easyAuth 'modules/easy-auth.bicep' = if (!empty(createTapApiClientId)) {
  params: {
    functionAppName: names.functionApp
    apiClientId: createTapApiClientId
    allowedApplications: list(createTapAllowedApplications)
  }
  dependsOn: [functionApp]
}

module eventGridPartner 'modules/event-grid-partner.bicep' = if (eventGrid == 'authorise') {
  params: { authorizedUntil: eventGridAuthorisedUntil }
}

module eventGridSubscription 'modules/event-grid-subscription.bicep' = if (eventGrid == 'deliver') {
  params: { partnerTopicName: suffix, storageAccountName: names.storageAccount }
  dependsOn: [storage]
}

module groupLogicApp 'modules/logic-app.bicep' = if (logicApp != 'off') {
  params: {
    name: '${abbreviations.logicWorkflows}${suffix}'
    location: location
    tags: tags
    groupId: onDemandGroupId
    storageAccountName: names.storageAccount
    readGroupAs: logicApp == 'managedIdentity' ? 'managedIdentity' : 'user'
  }
  dependsOn: [storage]
}

module alerts 'modules/alerts.bicep' = if (alertRules) {
  params: {
    actionGroupName: '${abbreviations.insightsActionGroups}${suffix}'
    location: location
    tags: tags
    applicationInsightsName: names.applicationInsights
    recipients: list(alertTo)
  }
  dependsOn: [monitoring]
}

module workbook 'modules/workbook.bicep' = {
  params: {
    location: location
    tags: tags
    applicationInsightsId: toLower(resourceId('Microsoft.Insights/components', names.applicationInsights))
  }
  dependsOn: [monitoring]
}

@description('The name of the function app.')
output functionAppName string = names.functionApp

@description('The object id of the identity, to which permissions are granted.')
output principalId string = identity.outputs.principalId

@description('The client id of the identity, for Exchange Online.')
output clientId string = identity.outputs.clientId

@description('The name of the storage account.')
output storageAccountName string = names.storageAccount

@description('The container of the ledger, for the commands of administrators.')
output ledgerUrl string = settings.LEDGER_URL

@description('The features to grant permissions for, separated by commas.')
output features string = join(features, ',')

@description('The partner topic of Event Grid.')
output partnerTopicName string = eventGrid == 'off' ? '' : suffix
