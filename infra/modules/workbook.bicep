// The workbook: passes per day, outcomes, and what is to come. Its content is in infra/workbook.json.

import { Tags } from 'types.bicep'

@description('The region.')
param location string

@description('The tags.')
param tags Tags

@description('The resource id of the Application Insights component, in lower case.')
param applicationInsightsId string

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  // The name of a workbook is a GUID.
  name: guid(resourceGroup().id, 'firstpass')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'firstpass'
    category: 'workbook'
    version: 'Notebook/1.0'
    sourceId: applicationInsightsId
    serializedData: loadTextContent('../workbook.json')
  }
}
