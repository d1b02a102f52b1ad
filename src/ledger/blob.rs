//! Records in blob storage: `joiners/<object id>.json` per user, `groups/<object id>.json` for the on-demand group,
//! `held/<reference>.json` per list that waits for approval, `alerts/<kind>/<id>.json` per alert that waits for the next summary,
//! `alert-mails.json`, `conditions.json` and `examination.json`, in one container.
//!
//! A first record is written with `If-None-Match: *`, every other with `If-Match`; of several writes one succeeds
//! ([Put Blob], [conditional headers]). The client library sends a write again when its answer was lost; if the first
//! had succeeded, the second is a [`LedgerError::Conflict`].
//!
//! [Put Blob]: https://learn.microsoft.com/rest/api/storageservices/put-blob
//! [conditional headers]: https://learn.microsoft.com/rest/api/storageservices/specifying-conditional-headers-for-blob-service-operations

use std::{collections::HashMap, fmt, num::NonZero, sync::Arc, time::Duration};

use async_trait::async_trait;
use azure_core::{
    Error,
    credentials::TokenCredential,
    http::{Etag, HttpClient, RequestContent, Url},
};
use azure_storage_blob::{
    BlobContainerClient, BlobContainerClientOptions,
    models::{
        BlobClientDownloadOptions, BlobContainerClientListBlobsOptions, BlobItem,
        BlockBlobClientUploadOptions, ListBlobsIncludeItem,
    },
};
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::timeout;
use uuid::Uuid;

use super::{
    AlertId, AlertMails, Conditions, ETag, Examination, HeldList, Ledger, LedgerError, MembershipSnapshot,
    PendingAlert, Record, Standing, log_membership_write, log_write,
};
use crate::{
    azure::{StorageRefusal, client_options, has_sas},
    budget,
    errors::{Cause, chain},
    transport::{self, MIB},
};

/// The retries of one request. The library's default, eight, takes over a minute.
const MAX_RETRIES: u32 = 3;
/// The records that are read concurrently.
const AT_ONCE: usize = 16;
/// A record has some KiB, and the entry of one member, joiner or person in the other documents less than 200 bytes.
const MAX_RECORD: usize = MIB;
/// Less than the transport reads, which could not tell the name.
const MAX_DOCUMENT: usize = transport::ANSWER - MIB;
/// The documents of one page. With their metadata, what is read of 5,000, the most, takes tens of MiB.
const PAGE: i32 = 1_000;
/// More documents than a ledger has.
const MAX_LISTED: usize = 1_000_000;

const FOLDER: &str = "joiners/";
const GROUPS: &str = "groups/";
const HELD: &str = "held/";
const ALERTS: &str = "alerts/";
const CONDITIONS: &str = "conditions.json";
const ALERT_MAILS: &str = "alert-mails.json";
const EXAMINATION: &str = "examination.json";
/// The metadata with the [`Standing`] of a record, as JSON.
const STANDING: &str = "standing";

/// When a document is written.
#[derive(Clone, Copy)]
enum WriteIf<'a> {
    /// If it is not there.
    New,
    /// If it has this version.
    Unchanged(&'a ETag),
    Always,
}

impl<'a> From<Option<&'a ETag>> for WriteIf<'a> {
    fn from(expected: Option<&'a ETag>) -> Self {
        expected.map_or(Self::New, Self::Unchanged)
    }
}

/// A ledger in a blob container. The first write makes the container.
pub struct BlobLedger {
    container: BlobContainerClient,
    /// Whether the container's URL has a SAS.
    has_sas: bool,
}

impl BlobLedger {
    /// The ledger in `container`, whose URL has a SAS if there is no `credential`.
    ///
    /// # Errors
    /// When the library refuses the URL: with a credential it must be `https`.
    pub fn new(
        container: Url,
        credential: Option<Arc<dyn TokenCredential>>,
        transport: Arc<dyn HttpClient>,
    ) -> Result<Self, LedgerError> {
        let has_sas = has_sas(&container);
        let options = BlobContainerClientOptions {
            client_options: client_options(transport, MAX_RETRIES),
            ..BlobContainerClientOptions::default()
        };
        match BlobContainerClient::new(container, credential, Some(options)) {
            Ok(container) => Ok(Self { container, has_sas }),
            Err(error) => Err(LedgerError::Unavailable(describe(&error, has_sas))),
        }
    }

    fn unavailable(&self, error: &Error) -> LedgerError {
        LedgerError::Unavailable(describe(error, self.has_sas))
    }

    async fn download<T: DeserializeOwned>(&self, name: &str) -> Result<Option<(T, ETag)>, LedgerError> {
        let Some((bytes, etag)) = self.bytes(name).await? else { return Ok(None) };
        Ok(Some((parse(name, &bytes)?, etag)))
    }

    /// A document that belongs to nobody. If it cannot be read, it is written anew: nothing in it is worth that no sweep ends
    /// well any more, or that no alert is sent.
    async fn download_of_all<T: DeserializeOwned + Default>(
        &self,
        name: &str,
    ) -> Result<Option<(T, ETag)>, LedgerError> {
        let Some((bytes, etag)) = self.bytes(name).await? else { return Ok(None) };
        let document = parse(name, &bytes).unwrap_or_else(|error| {
            tracing::error!(
                event = "ledger.document_replaced",
                error = &error as &dyn std::error::Error,
                "A document that concerns everybody cannot be read, and is written anew; alerts may come twice"
            );
            T::default()
        });
        Ok(Some((document, etag)))
    }

    async fn bytes(&self, name: &str) -> Result<Option<(Vec<u8>, ETag)>, LedgerError> {
        let limit = limit(name);
        // In one request: otherwise the answer would decide how many follow.
        let whole = BlobClientDownloadOptions {
            range: Some((0..=limit).into()),
            parallel: NonZero::new(1),
            partition_size: NonZero::new(limit + 1),
            ..BlobClientDownloadOptions::default()
        };
        let mut found = match self.container.blob_client(name).download(Some(whole)).await {
            Ok(found) => found,
            Err(error) if StorageRefusal::has_code(&error, &["BlobNotFound", "ContainerNotFound"]) => {
                return Ok(None);
            }
            Err(error) => return Err(self.unavailable(&error)),
        };
        let etag = found.properties.etag.map(|etag| ETag(etag.to_string()));
        let mut bytes = Vec::new();
        while bytes.len() <= limit
            && let Some(chunk) = found.body.try_next().await.map_err(|error| self.unavailable(&error))?
        {
            bytes.extend_from_slice(&chunk);
        }
        Ok(Some((bytes, etag.ok_or_else(no_etag)?)))
    }

    /// Writes a document that has no metadata, in the time of one call.
    async fn put<T: Serialize>(
        &self,
        name: &str,
        document: &T,
        condition: WriteIf<'_>,
    ) -> Result<ETag, LedgerError> {
        within(budget::LEDGER_CALL, self.upload(name, document, HashMap::new(), condition)).await
    }

    async fn upload<T: Serialize>(
        &self,
        name: &str,
        document: &T,
        metadata: HashMap<String, String>,
        condition: WriteIf<'_>,
    ) -> Result<ETag, LedgerError> {
        let document = serde_json::to_vec_pretty(document).map_err(|error| unwritable(name, &error))?;
        let mut made_container = false;
        loop {
            let options = BlockBlobClientUploadOptions {
                blob_content_type: Some("application/json".to_owned()),
                metadata: Some(metadata.clone()).filter(|metadata| !metadata.is_empty()),
                if_match: match condition {
                    WriteIf::Unchanged(etag) => Some(Etag::from(etag.0.clone())),
                    WriteIf::New | WriteIf::Always => None,
                },
                if_none_match: matches!(condition, WriteIf::New).then(|| Etag::from("*")),
                // By default the library asks the system for the number of processors at each call, and reads files for it.
                parallel: NonZero::new(1),
                ..BlockBlobClientUploadOptions::default()
            };
            let content = RequestContent::from(document.clone());
            let error = match self.container.blob_client(name).upload(content, Some(options)).await {
                Ok(written) => {
                    return written.etag.map(|etag| ETag(etag.to_string())).ok_or_else(no_etag);
                }
                Err(error) => error,
            };
            if StorageRefusal::has_code(&error, &["BlobAlreadyExists", "ConditionNotMet", "BlobNotFound"]) {
                return Err(LedgerError::Conflict);
            }
            if made_container || !StorageRefusal::has_code(&error, &["ContainerNotFound"]) {
                return Err(self.unavailable(&error));
            }
            made_container = true;
            if let Err(error) = self.container.create(None).await
                && !StorageRefusal::has_code(&error, &["ContainerAlreadyExists"])
            {
                return Err(self.unavailable(&error));
            }
        }
    }

    /// What `read` keeps of the documents in `folder` and their metadata.
    async fn listing<T>(
        &self,
        folder: &str,
        mut read: impl FnMut(&BlobItem) -> Option<T>,
    ) -> Result<Vec<T>, LedgerError> {
        let options = BlobContainerClientListBlobsOptions {
            prefix: Some(folder.to_owned()),
            include: Some(vec![ListBlobsIncludeItem::Metadata]),
            maxresults: Some(PAGE),
            ..BlobContainerClientListBlobsOptions::default()
        };
        let mut blobs = self.container.list_blobs(Some(options)).map_err(|error| self.unavailable(&error))?;
        let (mut kept, mut listed) = (Vec::new(), 0);
        loop {
            match blobs.try_next().await {
                Ok(None) => return Ok(kept),
                Ok(Some(_)) if listed == MAX_LISTED => {
                    return Err(LedgerError::Unavailable("the list of documents does not end".into()));
                }
                Ok(Some(blob)) => kept.extend(read(&blob)),
                Err(error) if StorageRefusal::has_code(&error, &["ContainerNotFound"]) => {
                    return Ok(Vec::new());
                }
                Err(error) => return Err(self.unavailable(&error)),
            }
            listed += 1;
        }
    }

    /// The records of `users`; `None` for a document that is not a record, which is logged as an ERROR.
    async fn records(&self, users: Vec<Uuid>) -> Result<Vec<(Uuid, Option<Record>)>, LedgerError> {
        let mut reads =
            stream::iter(users).map(|user| async move { (user, self.read(user).await) }).buffered(AT_ONCE);
        let mut records = Vec::new();
        while let Some((user, read)) = reads.next().await {
            match read {
                Ok(found) => records.extend(found.map(|(record, _)| (user, Some(record)))),
                Err(LedgerError::Unreadable(cause)) => {
                    tracing::error!(
                        event = "ledger.record_skipped",
                        %user,
                        why = %cause,
                        "A document in the ledger is not a record; the sweep continues without it"
                    );
                    records.push((user, None));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(records)
    }
}

#[async_trait]
impl Ledger for BlobLedger {
    async fn read(&self, user: Uuid) -> Result<Option<(Record, ETag)>, LedgerError> {
        within(budget::LEDGER_CALL, self.download(&blob(FOLDER, user))).await
    }

    async fn write(&self, user: Uuid, record: &Record, expected: Option<&ETag>) -> Result<ETag, LedgerError> {
        // A header holds ASCII only; JSON escapes the rest.
        let standing =
            serde_json::to_string(&Standing::from(record)).map_err(|error| unwritable(STANDING, &error))?;
        let metadata = [(STANDING.to_owned(), ascii(&standing))].into();
        let etag =
            within(budget::LEDGER_CALL, self.upload(&blob(FOLDER, user), record, metadata, expected.into()))
                .await?;
        log_write(user, record);
        Ok(etag)
    }

    async fn membership(&self, group: Uuid) -> Result<Option<(MembershipSnapshot, ETag)>, LedgerError> {
        within(budget::LEDGER_CALL, self.download(&blob(GROUPS, group))).await
    }

    async fn write_membership(
        &self,
        group: Uuid,
        membership: &MembershipSnapshot,
        expected: Option<&ETag>,
    ) -> Result<ETag, LedgerError> {
        let etag = self.put(&blob(GROUPS, group), membership, expected.into()).await?;
        log_membership_write(group);
        Ok(etag)
    }

    async fn conditions(&self) -> Result<Option<(Conditions, ETag)>, LedgerError> {
        within(budget::LEDGER_CALL, self.download_of_all(CONDITIONS)).await
    }

    async fn pending_alerts(&self) -> Result<Vec<AlertId>, LedgerError> {
        within(budget::LEDGER_CALL, self.listing(ALERTS, |blob| name_in(ALERTS, blob)?.parse().ok())).await
    }

    async fn pending_alert(&self, id: &AlertId) -> Result<Option<PendingAlert>, LedgerError> {
        let found = within(budget::LEDGER_CALL, self.download(&pending(id))).await?;
        Ok(found.map(|(alert, _)| alert))
    }

    async fn write_pending_alert(&self, id: &AlertId, alert: &PendingAlert) -> Result<(), LedgerError> {
        self.put(&pending(id), alert, WriteIf::Always).await.map(|_| ())
    }

    async fn delete_pending_alert(&self, id: &AlertId) -> Result<(), LedgerError> {
        let deleted = async {
            match self.container.blob_client(&pending(id)).delete(None).await {
                Err(error) if !StorageRefusal::has_code(&error, &["BlobNotFound", "ContainerNotFound"]) => {
                    Err(self.unavailable(&error))
                }
                _ => Ok(()),
            }
        };
        within(budget::LEDGER_CALL, deleted).await
    }

    async fn alert_mails(&self) -> Result<Option<(AlertMails, ETag)>, LedgerError> {
        within(budget::LEDGER_CALL, self.download_of_all(ALERT_MAILS)).await
    }

    async fn write_alert_mails(
        &self,
        mails: &AlertMails,
        expected: Option<&ETag>,
    ) -> Result<ETag, LedgerError> {
        self.put(ALERT_MAILS, mails, expected.into()).await
    }

    async fn examination(&self) -> Result<Option<(Examination, ETag)>, LedgerError> {
        within(budget::LEDGER_CALL, self.download_of_all(EXAMINATION)).await
    }

    async fn write_examination(
        &self,
        examination: &Examination,
        expected: Option<&ETag>,
    ) -> Result<ETag, LedgerError> {
        self.put(EXAMINATION, examination, expected.into()).await
    }

    async fn write_conditions(
        &self,
        conditions: &Conditions,
        expected: Option<&ETag>,
    ) -> Result<ETag, LedgerError> {
        self.put(CONDITIONS, conditions, expected.into()).await
    }

    async fn list(&self) -> Result<Vec<(Uuid, Record)>, LedgerError> {
        within(budget::LEDGER_LISTING, async {
            let users = self.listing(FOLDER, user_of).await?;
            let records = self.records(users).await?;
            Ok(records.into_iter().filter_map(|(user, record)| Some((user, record?))).collect())
        })
        .await
    }

    async fn standings(&self, keep: &mut (dyn FnMut(Uuid, Standing) + Send)) -> Result<(), LedgerError> {
        within(budget::LEDGER_LISTING, async {
            let other = |blob: &BlobItem| {
                let user = user_of(blob)?;
                // A copy from a backup can lack the metadata, and another version can have another form of it.
                let Some(standing) = standing(blob) else { return Some(user) };
                keep(user, standing);
                None
            };
            let others = self.listing(FOLDER, other).await?;
            for (user, record) in self.records(others).await? {
                keep(user, record.as_ref().map_or_else(Standing::unreadable, Standing::from));
            }
            Ok(())
        })
        .await
    }

    async fn held_list(&self, reference: &str) -> Result<Option<(HeldList, ETag)>, LedgerError> {
        within(budget::LEDGER_CALL, self.download(&held(reference))).await
    }

    async fn write_held_list(
        &self,
        reference: &str,
        list: &HeldList,
        expected: Option<&ETag>,
    ) -> Result<ETag, LedgerError> {
        self.put(&held(reference), list, expected.into()).await
    }

    async fn held_lists(&self) -> Result<Vec<(String, HeldList)>, LedgerError> {
        within(budget::LEDGER_LISTING, async {
            let mut lists = Vec::new();
            for reference in self.listing(HELD, |blob| name_in(HELD, blob).map(str::to_owned)).await? {
                match self.download(&held(&reference)).await {
                    Ok(found) => lists.extend(found.map(|(list, _)| (reference, list))),
                    // A list that nobody can approve. If its people still wait, the next sweep writes another one.
                    Err(LedgerError::Unreadable(cause)) => tracing::error!(
                        event = "ledger.list_skipped",
                        reference,
                        why = %cause,
                        "A list of people who wait for an approval cannot be read; the sweep continues without it"
                    ),
                    Err(error) => return Err(error),
                }
            }
            Ok(lists)
        })
        .await
    }
}

impl fmt::Debug for BlobLedger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobLedger").finish_non_exhaustive()
    }
}

/// Parses a document. The error does not quote it: it has an address.
fn parse<T: DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T, LedgerError> {
    let limit = limit(name);
    if bytes.len() > limit {
        return Err(LedgerError::Unreadable(format!("{name} is larger than {} MiB", limit / MIB).into()));
    }
    serde_json::from_slice(bytes).map_err(|error| {
        let (kind, line, column) = (error.classify(), error.line(), error.column());
        LedgerError::Unreadable(format!("{name}: {kind:?} error in line {line}, column {column}").into())
    })
}

/// How much of a document is read.
fn limit(name: &str) -> usize {
    if name.starts_with(FOLDER) { MAX_RECORD } else { MAX_DOCUMENT }
}

fn unwritable(name: &str, error: &serde_json::Error) -> LedgerError {
    LedgerError::Unavailable(format!("{name} cannot be written: {error}").into())
}

fn no_etag() -> LedgerError {
    LedgerError::Unavailable("the answer has no ETag".into())
}

fn blob(folder: &str, id: Uuid) -> String {
    format!("{folder}{id}.json")
}

async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, LedgerError>>,
) -> Result<T, LedgerError> {
    let late = |_| Err(LedgerError::Unavailable(format!("no answer within {} s", limit.as_secs()).into()));
    timeout(limit, work).await.unwrap_or_else(late)
}

/// Writes every other character as JSON does in a string.
fn ascii(json: &str) -> String {
    let mut text = String::new();
    for c in json.chars() {
        match c {
            ' '..='~' => text.push(c),
            _ => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| text += &format!("\\u{unit:04x}")),
        }
    }
    text
}

/// The user whose record this is.
fn user_of(blob: &BlobItem) -> Option<Uuid> {
    name_in(FOLDER, blob)?.parse().ok()
}

/// The name of a document in `folder`, without its ending.
fn name_in<'a>(folder: &str, blob: &'a BlobItem) -> Option<&'a str> {
    blob.name.as_deref()?.strip_prefix(folder)?.strip_suffix(".json")
}

fn pending(id: &AlertId) -> String {
    format!("{ALERTS}{id}.json")
}

fn held(reference: &str) -> String {
    format!("{HELD}{reference}.json")
}

/// The standing of the listed record; `None` if the metadata is missing or has another form.
fn standing(blob: &BlobItem) -> Option<Standing> {
    let metadata = blob.metadata.as_ref()?.values.as_ref()?;
    serde_json::from_str(metadata.get(STANDING)?).ok()
}

/// The error, with advice by its [code].
///
/// [code]: https://learn.microsoft.com/rest/api/storageservices/common-rest-api-error-codes
fn describe(error: &Error, has_sas: bool) -> Cause {
    let Some(refusal) = StorageRefusal::of(error) else {
        let cause = Cause::of(error);
        let message = chain(&cause);
        return cause.context(&message);
    };
    let advice = match refusal.code.as_str() {
        _ if !refusal.is_access_denied() => "",
        _ if has_sas => {
            "; check the SAS in LEDGER_URL (its expiry; it must permit list, read, create, write and delete), and the storage \
             account's network rules"
        }
        "AuthorizationFailure" => "; check the storage account's network rules",
        _ => "; give the app's identity the role Storage Blob Data Contributor on the storage account",
    };
    Cause::of(&refusal).context(&format!("blob storage answered {refusal}{advice}"))
}
