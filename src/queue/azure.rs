//! Queues in Azure Storage.
//!
//! The client library sends a request again when its answer was lost, so that a message may be put twice. Queues deliver
//! at least once: their readers expect that.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use azure_core::{
    Error,
    credentials::{Secret, TokenCredential},
    error::ErrorKind,
    http::{HttpClient, Url},
    time::OffsetDateTime,
};
use azure_storage_queue::{
    QueueClient, QueueClientOptions,
    models::{
        PeekedMessage, QueueClientGetPropertiesResultHeaders, QueueClientPeekMessagesOptions,
        QueueClientReceiveMessagesOptions, QueueMessage as NewQueueMessage, ReceivedMessage,
    },
};
use chrono::{DateTime, Utc};
use tokio::time::timeout;

use super::{AT_ONCE, JOBS, POISON, Queue, QueueError, QueueMessage, Queues, Received};
use crate::{
    azure::{QueueAccess, QueueService, StorageRefusal, client_options, sas},
    budget,
    clock::Clock,
    errors::{Cause, chain},
};

/// The retries of one request.
const MAX_RETRIES: u32 = 2;

/// One queue of a storage account.
pub struct AzureQueue {
    url: Url,
    access: QueueAccess,
    credential: Option<Arc<dyn TokenCredential>>,
    transport: Arc<dyn HttpClient>,
    clock: Clock,
}

impl AzureQueue {
    /// The queue `name` of `service`. [`QueueAccess::Identity`] needs a `credential`; `clock` may differ from the
    /// account's by minutes.
    ///
    /// # Errors
    /// When the address cannot have a path.
    pub fn new(
        service: &QueueService,
        name: &str,
        credential: Option<Arc<dyn TokenCredential>>,
        transport: Arc<dyn HttpClient>,
        clock: Clock,
    ) -> Result<Self, QueueError> {
        let mut url = service.url.clone();
        url.path_segments_mut()
            .map_err(|()| QueueError::Refused("the address of the queue service cannot have a path".into()))?
            .pop_if_empty()
            .push(name);
        let access = service.access.clone();
        Ok(Self { url, access, credential, transport, clock })
    }

    /// A client for one call: a signature made from the account's key is valid for minutes.
    fn client(&self) -> Result<QueueClient, QueueError> {
        let sas = match &self.access {
            QueueAccess::Identity { .. } => None,
            QueueAccess::Sas(sas) => Some(sas.clone()),
            QueueAccess::Key { account, key } => {
                let over_tls = self.url.scheme() == "https";
                Some(sas::account_sas(account, key, over_tls, self.clock.now()))
            }
        };
        let mut url = self.url.clone();
        url.set_query(sas.as_ref().map(Secret::secret));
        let client_options = client_options(self.transport.clone(), MAX_RETRIES);
        let options = QueueClientOptions { client_options, version: sas::VERSION.to_owned() };
        let credential = self.credential.clone().filter(|_| sas.is_none());
        QueueClient::new(url, credential, Some(options)).map_err(|error| describe(&error, &self.access))
    }

    /// One call, within [`budget::QUEUE_CALL`].
    async fn call<T, F>(&self, work: impl FnOnce(QueueClient) -> F) -> Result<T, QueueError>
    where
        F: Future<Output = Result<T, Error>>,
    {
        match timeout(budget::QUEUE_CALL, work(self.client()?)).await {
            Ok(result) => result.map_err(|error| describe(&error, &self.access)),
            Err(_) => Err(QueueError::Unavailable(
                format!("no answer within {} s", budget::QUEUE_CALL.as_secs()).into(),
            )),
        }
    }
}

#[async_trait]
impl Queue for AzureQueue {
    async fn peek(&self) -> Result<Vec<QueueMessage>, QueueError> {
        let options =
            QueueClientPeekMessagesOptions { number_of_messages: Some(at_once()), ..Default::default() };
        let peeked = self
            .call(|client| async move {
                if_exists(client.peek_messages(Some(options)).await.and_then(|answer| answer.into_model()))
            })
            .await?;
        let messages = peeked.and_then(|peeked| peeked.items).unwrap_or_default().into_iter();
        let to_message = |m: PeekedMessage| {
            message(m.message_id, m.message_text, m.insertion_time, m.expiration_time, m.dequeue_count)
        };
        Ok(messages.filter_map(to_message).collect())
    }

    async fn count(&self) -> Result<usize, QueueError> {
        let count = self
            .call(|client| async move {
                if_exists(client.get_properties(None).await.and_then(|p| p.approximate_messages_count()))
            })
            .await?;
        Ok(count.flatten().and_then(|count| usize::try_from(count).ok()).unwrap_or(0))
    }

    async fn receive(&self, hidden: Duration) -> Result<Vec<Received>, QueueError> {
        let options = QueueClientReceiveMessagesOptions {
            number_of_messages: Some(at_once()),
            visibility_timeout: i32::try_from(hidden.as_secs()).ok(),
            ..Default::default()
        };
        let received = self
            .call(|client| async move {
                if_exists(client.receive_messages(Some(options)).await.and_then(|answer| answer.into_model()))
            })
            .await?;
        let messages = received.and_then(|received| received.items).unwrap_or_default().into_iter();
        let to_received = |m: ReceivedMessage| {
            let receipt = m.pop_receipt?;
            message(m.message_id, m.message_text, m.insertion_time, m.expiration_time, m.dequeue_count)
                .map(|message| Received { message, receipt })
        };
        Ok(messages.filter_map(to_received).collect())
    }

    async fn put(&self, text: &str) -> Result<(), QueueError> {
        self.call(|client| send(client, text)).await
    }

    async fn delete(&self, Received { message, receipt }: &Received) -> Result<(), QueueError> {
        self.call(|client| async move { client.delete_message(&message.id, receipt, None).await.map(|_| ()) })
            .await
    }

    async fn release(&self, Received { message, receipt }: &Received) -> Result<(), QueueError> {
        self.call(
            |client| async move { client.update_message(&message.id, receipt, 0, None).await.map(|_| ()) },
        )
        .await
    }
}

/// Makes the queue if it does not exist.
async fn send(client: QueueClient, text: &str) -> Result<(), Error> {
    let mut made_queue = false;
    loop {
        let message = NewQueueMessage { message_text: Some(text.to_owned()) };
        let error = match client.send_message(message.try_into()?, None).await {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        if made_queue || !StorageRefusal::has_code(&error, &["QueueNotFound"]) {
            return Err(error);
        }
        made_queue = true;
        if let Err(error) = client.create(None).await
            && !StorageRefusal::has_code(&error, &["QueueAlreadyExists"])
        {
            return Err(error);
        }
    }
}

/// `None` if the queue does not exist.
fn if_exists<T>(answer: Result<T, Error>) -> Result<Option<T>, Error> {
    match answer {
        Err(error) if StorageRefusal::has_code(&error, &["QueueNotFound"]) => Ok(None),
        answer => answer.map(Some),
    }
}

impl Queues {
    /// The app's queues in `service`; the parameters are those of [`AzureQueue::new`].
    ///
    /// # Errors
    /// As there.
    pub fn in_azure(
        service: &QueueService,
        credential: Option<&Arc<dyn TokenCredential>>,
        transport: &Arc<dyn HttpClient>,
        clock: &Clock,
    ) -> Result<Self, QueueError> {
        let queue = |name| {
            AzureQueue::new(service, name, credential.cloned(), transport.clone(), clock.clone())
                .map(Arc::new)
        };
        Ok(Self { jobs: queue(JOBS)?, poison: queue(POISON)? })
    }
}

impl fmt::Debug for AzureQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AzureQueue").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

fn at_once() -> i32 {
    i32::try_from(AT_ONCE).unwrap_or(1)
}

/// `None` if the id or the insertion time is missing, which the service always sends.
fn message(
    id: Option<String>,
    text: Option<String>,
    inserted: Option<OffsetDateTime>,
    expires: Option<OffsetDateTime>,
    dequeue_count: Option<i64>,
) -> Option<QueueMessage> {
    Some(QueueMessage {
        id: id?,
        text: text.unwrap_or_default(),
        inserted: time(inserted?)?,
        expires: expires.and_then(time),
        dequeue_count: dequeue_count.and_then(|count| count.try_into().ok()).unwrap_or(0),
    })
}

fn time(time: OffsetDateTime) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(time.unix_timestamp(), 0)
}

/// The error, with advice by its [code].
///
/// [code]: https://learn.microsoft.com/rest/api/storageservices/common-rest-api-error-codes
fn describe(error: &Error, access: &QueueAccess) -> QueueError {
    let Some(refusal) = StorageRefusal::of(error) else {
        let cause = Cause::of(error);
        let message = match error.kind() {
            ErrorKind::Credential => format!(
                "the sign-in to storage failed: {}; check the app's identity, or run `az login`",
                chain(&cause)
            ),
            _ => format!(
                "{}; check that the storage account can be reached from this machine, or that Azurite runs",
                chain(&cause)
            ),
        };
        return QueueError::Unavailable(cause.context(&message));
    };
    let cause = Cause::of(&refusal);
    let advice = match (refusal.code.as_str(), access) {
        ("MessageNotFound" | "PopReceiptMismatch", _) => return QueueError::MessageGone(cause),
        _ if !refusal.is_access_denied() => "",
        ("KeyBasedAuthenticationNotPermitted", _) => {
            "; the account permits no keys: use an identity (AzureWebJobsStorage__accountName)"
        }
        ("AuthorizationFailure", _) => "; check the storage account's network rules",
        (_, QueueAccess::Identity { .. }) => {
            "; the identity needs the role Storage Queue Data Contributor on the storage account (Storage Queue Data \
             Reader to list)"
        }
        (_, QueueAccess::Key { .. }) => {
            "; check the AccountKey in AzureWebJobsStorage, and this machine's clock"
        }
        (_, QueueAccess::Sas(_)) => {
            "; check the SharedAccessSignature in AzureWebJobsStorage: its expiry, and that it permits read, add, create, \
             update and process for queues and messages"
        }
    };
    QueueError::Refused(cause.context(&format!("queue storage answered {refusal}{advice}")))
}
