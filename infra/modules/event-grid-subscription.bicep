// Step 2 of Event Grid: delivers Graph's change notifications about the on-demand group to the queue pass-jobs, with the
// topic's identity. The topic must exist, be activated and have a system-assigned identity: docs/DEPLOY.md.

@description('The partner topic that Graph made, in this resource group.')
@minLength(3)
@maxLength(50)
param partnerTopicName string

@description('The storage account of the function app (AzureWebJobsStorage), in this resource group.')
param storageAccountName string

@description('The queue of OnGroupAdd/function.json.')
var queueName = 'pass-jobs'

@description('The container of events that were not delivered within a day.')
var undeliveredContainerName = 'pass-jobs-undelivered'

@description('The built-in role that lets the topic add messages.')
var storageQueueDataMessageSender = subscriptionResourceId(
  'Microsoft.Authorization/roleDefinitions',
  'c6a89b2d-59bc-44d0-9896-0f6e12d7b80a'
)

@description('The built-in role that lets the topic keep undelivered events.')
var storageBlobDataContributor = subscriptionResourceId(
  'Microsoft.Authorization/roleDefinitions',
  'ba92f5b4-2d11-453d-a403-e96b0029c9fe'
)

resource partnerTopic 'Microsoft.EventGrid/partnerTopics@2025-02-15' existing = {
  name: partnerTopicName
}

resource storageAccount 'Microsoft.Storage/storageAccounts@2026-06-01' existing = {
  name: storageAccountName
}

resource queueService 'Microsoft.Storage/storageAccounts/queueServices@2026-06-01' existing = {
  parent: storageAccount
  name: 'default'

  resource queue 'queues' existing = {
    name: queueName
  }
}

resource blobService 'Microsoft.Storage/storageAccounts/blobServices@2026-06-01' existing = {
  parent: storageAccount
  name: 'default'
}

resource undelivered 'Microsoft.Storage/storageAccounts/blobServices/containers@2026-06-01' = {
  parent: blobService
  name: undeliveredContainerName
}

// The topic may add messages to this one queue: neither read them nor write to another.
resource mayAddMessages 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: queueService::queue
  name: guid(queueService::queue.id, partnerTopic.id, storageQueueDataMessageSender)
  properties: {
    roleDefinitionId: storageQueueDataMessageSender
    principalId: partnerTopic.identity.principalId
    principalType: 'ServicePrincipal'
  }
}

resource mayKeepUndelivered 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: undelivered
  name: guid(undelivered.id, partnerTopic.id, storageBlobDataContributor)
  properties: {
    roleDefinitionId: storageBlobDataContributor
    principalId: partnerTopic.identity.principalId
    principalType: 'ServicePrincipal'
  }
}

resource toPassJobs 'Microsoft.EventGrid/partnerTopics/eventSubscriptions@2025-02-15' = {
  parent: partnerTopic
  name: 'to-pass-jobs'
  properties: {
    // No filter: the topic is for this group only, and OnGroupAdd ignores other changes.
    eventDeliverySchema: 'CloudEventSchemaV1_0'
    deliveryWithResourceIdentity: {
      identity: {
        type: 'SystemAssigned'
      }
      destination: {
        endpointType: 'StorageQueue'
        properties: {
          resourceId: storageAccount.id
          queueName: queueName
        }
      }
    }
    // A day: by then the sweep has found the members of a lost event.
    retryPolicy: {
      maxDeliveryAttempts: 30
      eventTimeToLiveInMinutes: 1440
    }
    deadLetterWithResourceIdentity: {
      identity: {
        type: 'SystemAssigned'
      }
      deadLetterDestination: {
        endpointType: 'StorageBlob'
        properties: {
          resourceId: storageAccount.id
          blobContainerName: undelivered.name
        }
      }
    }
  }
  dependsOn: [
    mayAddMessages
    mayKeepUndelivered
  ]
}
