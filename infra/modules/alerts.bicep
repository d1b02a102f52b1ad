// Alert rules: what reaches a person even if the app can send no mail. Each query of infra/queries that begins with `alert-`
// is a rule, and says in its head how often it runs.

import { Tags } from 'types.bicep'

@description('The name of the action group.')
param actionGroupName string

@description('The region.')
param location string

@description('The tags.')
param tags Tags

@description('The Application Insights component.')
param applicationInsightsName string

@description('Who gets the mails of the rules.')
@minLength(1)
param recipients string[]

@description('A rule that fires when its query has a row.')
type Rule = {
  @description('The name of the rule.')
  name: string

  @description('What happened, and what to do.')
  description: string

  @description('The query.')
  query: string

  @description('How severe it is: 1 is an error, 2 a warning.')
  severity: 1 | 2

  @description('How often the rule looks.')
  every: 'PT5M' | 'PT15M' | 'PT1H'

  @description('How far back the query can see.')
  window: 'PT1H' | 'P2D'

  @description('Whether an alert ends when the query has no row any more; else the next one comes after an hour at the earliest, and the window has to be so long.')
  endsByItself: bool
}

@description('The rules that fire on a row.')
var rules Rule[] = [
  {
    name: 'firstpass-error'
    description: 'firstpass has an alert, or cannot start. Read the mail to ALERT_TO, or search the log for event=alert. One mail an hour at most: look for other lines of the hour.'
    query: loadTextContent('../queries/alert-error.kql')
    severity: 1
    every: 'PT5M'
    window: 'PT1H'
    endsByItself: false
  }
  {
    name: 'firstpass-poison'
    description: 'There are messages in the queue pass-jobs-poison, and not all of their users have a pass since. Run: firstpass jobs.'
    query: loadTextContent('../queries/alert-poison.kql')
    severity: 2
    every: 'PT1H'
    window: 'P2D'
    endsByItself: true
  }
  {
    name: 'firstpass-failures'
    description: 'Most invocations of a function of firstpass failed within an hour. The table exceptions has their reasons.'
    query: loadTextContent('../queries/alert-failures.kql')
    severity: 2
    every: 'PT15M'
    window: 'PT1H'
    endsByItself: true
  }
]

resource applicationInsights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: applicationInsightsName
}

resource actionGroup 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: actionGroupName
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'firstpass'
    enabled: true
    emailReceivers: [
      for (recipient, i) in recipients: {
        name: 'alert-to-${i + 1}'
        emailAddress: recipient
        useCommonAlertSchema: true
      }
    ]
  }
}

// skipQueryValidation: on the first day the tables do not exist.
resource onRow 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = [
  for rule in rules: {
    name: rule.name
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: rule.name
      description: rule.description
      severity: rule.severity
      enabled: true
      scopes: [applicationInsights.id]
      evaluationFrequency: rule.every
      windowSize: rule.window
      criteria: {
        allOf: [
          {
            query: rule.query
            timeAggregation: 'Count'
            operator: 'GreaterThan'
            threshold: 0
            failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
          }
        ]
      }
      autoMitigate: rule.endsByItself
      muteActionsDuration: rule.endsByItself ? null : 'PT1H'
      skipQueryValidation: true
      actions: { actionGroups: [actionGroup.id] }
    }
  }
]

// Silence is a row with the number 0: a rule that counts rows would never see it.
resource onSilence 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = {
  name: 'firstpass-silent'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: 'firstpass-silent'
    description: 'No sweep of firstpass ended well for 26 hours: nobody gets a pass. Look whether the function app runs, and for sweep.failed and settings.rejected in the log.'
    severity: 1
    enabled: true
    scopes: [applicationInsights.id]
    evaluationFrequency: 'PT1H'
    windowSize: 'P2D'
    criteria: {
      allOf: [
        {
          query: loadTextContent('../queries/alert-silent.kql')
          timeAggregation: 'Total'
          metricMeasureColumn: 'sweeps'
          operator: 'LessThan'
          threshold: 1
          failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
        }
      ]
    }
    autoMitigate: true
    skipQueryValidation: true
    actions: { actionGroups: [actionGroup.id] }
  }
}
