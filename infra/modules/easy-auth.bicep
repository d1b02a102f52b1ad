// App Service authentication for CreateTap: the platform checks the token of a caller, and firstpass decides who may call
// (CREATE_TAP_ALLOWED_CALLERS). A function key is needed besides.

@description('The function app.')
param functionAppName string

@description('The client id of the app registration that stands for CreateTap.')
@minLength(36)
@maxLength(36)
param apiClientId string

@description('Client ids of the applications that may call; empty: any of the tenant, and firstpass decides alone.')
param allowedApplications string[]

resource app 'Microsoft.Web/sites@2025-03-01' existing = {
  name: functionAppName

  resource authentication 'config' = {
    name: 'authsettingsV2'
    properties: {
      platform: { enabled: true }
      globalValidation: { requireAuthentication: true, unauthenticatedClientAction: 'Return401' }
      httpSettings: { requireHttps: true }
      login: { tokenStore: { enabled: false } }
      identityProviders: {
        azureActiveDirectory: {
          enabled: true
          registration: {
            clientId: apiClientId
            openIdIssuer: '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
          }
          validation: {
            // Tokens of version 2 name the client id, those of version 1 the URI.
            allowedAudiences: [apiClientId, 'api://${apiClientId}']
            defaultAuthorizationPolicy: empty(allowedApplications) ? null : { allowedApplications: allowedApplications }
          }
        }
      }
    }
  }
}
