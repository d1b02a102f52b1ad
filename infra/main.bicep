// firstpass for `azd up`, and for `az deployment sub create`: makes the resource group and calls app.bicep. Its parameters are
// those of app.bicep; a test compares the two lists.

targetScope = 'subscription'

import { AppSettings } from 'modules/types.bicep'

@description('The name of the environment: the resource group is named after it.')
@minLength(1)
@maxLength(64)
param environmentName string

@description('The region. It must have Flex Consumption: az functionapp list-flexconsumption-locations.')
@metadata({ azd: { type: 'location' } })
param location string

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

@description('azd finds its resources by this tag.')
var tags = { 'azd-env-name': environmentName }

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: '${abbreviations.resourcesResourceGroups}${environmentName}'
  location: location
  tags: tags
}

module app 'app.bicep' = {
  scope: group
  params: {
    location: location
    tags: tags
    mailFrom: mailFrom
    alertTo: alertTo
    alertWebhookUrl: alertWebhookUrl
    digest: digest
    deliveryWebhookUrl: deliveryWebhookUrl
    deliveryWebhookKey: deliveryWebhookKey
    deliveryWebhookAudience: deliveryWebhookAudience
    maximumInstanceCount: maximumInstanceCount
    instanceMemoryMB: instanceMemoryMB
    retentionDays: retentionDays
    logRetentionDays: logRetentionDays
    alertRules: alertRules
    createTapApiClientId: createTapApiClientId
    createTapAllowedApplications: createTapAllowedApplications
    privateNetworking: privateNetworking
    networkAddressSpace: networkAddressSpace
    natGateway: natGateway
    allowedIpAddresses: allowedIpAddresses
    eventGrid: eventGrid
    eventGridAuthorisedUntil: eventGridAuthorisedUntil
    logicApp: logicApp
    optionalFeatures: optionalFeatures
    additionalSettings: additionalSettings
    sweepSchedule: sweepSchedule
    cloud: cloud
    reportOnly: reportOnly
    paused: paused
    joinerGroupId: joinerGroupId
    onDemandGroupId: onDemandGroupId
    protectedGroupId: protectedGroupId
    eventGridPartnerTopic: eventGridPartnerTopic
    leadDays: leadDays
    lateDays: lateDays
    passStart: passStart
    dayOneTime: dayOneTime
    workingDays: workingDays
    timeZone: timeZone
    zones: zones
    hireDateZone: hireDateZone
    passLifetimeMinutes: passLifetimeMinutes
    passOneTime: passOneTime
    serveDisabled: serveDisabled
    serveGuests: serveGuests
    joinerCheck: joinerCheck
    joinerCheckIgnores: joinerCheckIgnores
    joinerMaxAgeDays: joinerMaxAgeDays
    sweepMax: sweepMax
    nudgeAfter: nudgeAfter
    reissueUnused: reissueUnused
    language: language
    companyName: companyName
    alertLanguage: alertLanguage
    mailTemplates: mailTemplates
    senderName: senderName
    logo: logo
    footerImage: footerImage
    footerLink: footerLink
    accentColor: accentColor
    textColor: textColor
    deviceSteps: deviceSteps
    mailTo: mailTo
    delivery: delivery
    mailCodeTo: mailCodeTo
    mailCc: mailCc
    mailCcCode: mailCcCode
    mailsPerMinute: mailsPerMinute
    tenantDomains: tenantDomains
    addressSharedBy: addressSharedBy
    addressSharedAllowed: addressSharedAllowed
    serviceDeskName: serviceDeskName
    serviceDeskEmail: serviceDeskEmail
    serviceDeskPhone: serviceDeskPhone
    serviceDeskPortalUrl: serviceDeskPortalUrl
    createTapOpenParameters: createTapOpenParameters
    createTapDefaultLifetimeMinutes: createTapDefaultLifetimeMinutes
    createTapDefaultOneTimeUseOnly: createTapDefaultOneTimeUseOnly
    createTapDefaultNotifyUser: createTapDefaultNotifyUser
    createTapDefaultDeliver: createTapDefaultDeliver
    createTapOpen: createTapOpen
    createTapAllowedGroupId: createTapAllowedGroupId
    createTapAllowedCallers: createTapAllowedCallers
    createTapLimitPerUser: createTapLimitPerUser
    createTapLimitPerCaller: createTapLimitPerCaller
    ticketUrlHosts: ticketUrlHosts
  }
}

// azd keeps outputs as variables of the environment; the hooks read them.
@description('The region.')
output AZURE_LOCATION string = location

@description('The resource group.')
output AZURE_RESOURCE_GROUP string = group.name

@description('The name of the function app.')
output SERVICE_FIRSTPASS_NAME string = app.outputs.functionAppName

@description('The object id of the identity, to which permissions are granted.')
output FIRSTPASS_PRINCIPAL_ID string = app.outputs.principalId

@description('The client id of the identity, for Exchange Online.')
output FIRSTPASS_CLIENT_ID string = app.outputs.clientId

@description('The name of the storage account.')
output FIRSTPASS_STORAGE_ACCOUNT string = app.outputs.storageAccountName

@description('The container of the ledger, for the commands of administrators.')
output FIRSTPASS_LEDGER_URL string = app.outputs.ledgerUrl

@description('The mailbox that sends all mails.')
output FIRSTPASS_MAIL_FROM string = mailFrom

@description('The features to grant permissions for, separated by commas.')
output FIRSTPASS_FEATURES string = app.outputs.features
