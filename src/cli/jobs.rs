//! `firstpass jobs`: lists, requeues and deletes poison messages.

use clap::{Args, Subcommand};
use comfy_table::{Table, presets};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Site,
    terminal::{self, print},
};
use crate::{
    azure::QueueService,
    cloud::Cloud,
    environment::Environment,
    pass::Subject,
    queue::{POISON, PoisonAction, PoisonMessages, QueueMessage, Queues, Resolved},
    startup,
};

/// The characters that the list shows of a message without users: enough to recognise its origin.
const EXCERPT: usize = 60;

/// The options of `firstpass jobs`.
#[derive(Debug, Args)]
pub struct Options {
    #[command(subcommand)]
    action: Option<Action>,
    /// The storage account of the function app; the default is the one of AzureWebJobsStorage
    #[arg(long, global = true, value_name = "NAME")]
    account: Option<String>,
    /// Print one JSON object
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Put messages back onto pass-jobs
    Requeue {
        #[command(flatten)]
        which: Which,
    },
    /// Delete messages
    Delete {
        #[command(flatten)]
        which: Which,
        /// Delete; without it, list what would be deleted
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// All messages
    #[arg(long)]
    all: bool,
    /// Message ids, or users as in the list
    #[arg(value_name = "MESSAGE OR USER")]
    named: Vec<String>,
}

impl Which {
    fn wants(&self, message: &QueueMessage) -> bool {
        self.all || self.named.iter().any(|name| matches(message, name))
    }

    /// Names that match none of `messages`.
    fn unmatched(&self, messages: &[QueueMessage]) -> Vec<&str> {
        let is_missing = |name: &&String| !messages.iter().any(|message| matches(message, name));
        self.named.iter().filter(is_missing).map(String::as_str).collect()
    }
}

fn matches(message: &QueueMessage, name: &str) -> bool {
    let same = |own: &str| match (own.parse::<Uuid>(), name.trim().parse::<Uuid>()) {
        (Ok(own), Ok(name)) => own == name,
        _ => own.eq_ignore_ascii_case(name.trim()),
    };
    same(&message.id) || Subject::of(message).people().any(|(_, user)| same(&user))
}

/// Runs the command.
///
/// # Errors
/// The reason, and what to do.
pub fn run(options: &Options, Site { env, .. }: &Site<'_>) -> Result<(), String> {
    terminal::run(env, async {
        let service = service(options.account.as_deref(), env)?;
        let queues = startup::queues(&service, env.get("IDENTITY_ENDPOINT").is_some())
            .map_err(|report| report.to_string())?;
        match &options.action {
            None => list(&queues, options.json).await,
            Some(Action::Requeue { which }) => {
                resolve(&queues, which, PoisonAction::Requeue, options.json).await
            }
            Some(Action::Delete { which, yes: true }) => {
                resolve(&queues, which, PoisonAction::Delete, options.json).await
            }
            Some(Action::Delete { which, yes: false }) => dry_run(&queues, which, options.json).await,
        }
    })
}

fn service(account: Option<&str>, env: &Environment) -> Result<QueueService, String> {
    match account {
        Some(name) => QueueService::for_account(name, Cloud::of(env)).map_err(|detail| format!("--account {detail}")),
        None => QueueService::read(env).map_err(|report| report.to_string())?.ok_or_else(|| {
            "no storage account is set. Name the function app's storage account with --account (the identity of \
             `az login` needs the role Storage Queue Data Contributor), or set AzureWebJobsStorage to the function \
             app's value"
                .to_owned()
        }),
    }
}

async fn list(queues: &Queues, as_json: bool) -> Result<(), String> {
    let poison = queues.poison_messages().await.map_err(|error| error.to_string())?;
    if as_json {
        let messages = messages(&poison.messages);
        print(&json!({"queue": POISON, "total": poison.total, "messages": messages}).to_string());
    } else if poison.messages.is_empty() {
        print(&format!("{POISON} is empty."));
    } else {
        print(&table(&poison.messages));
        print(&summary(&poison));
        print("Requeue or delete them: firstpass jobs requeue|delete, with --all, message ids or users.");
    }
    Ok(())
}

fn summary(poison: &PoisonMessages) -> String {
    let (shown, total) = (poison.messages.len(), poison.total);
    let noun = if total == 1 { "poison message" } else { "poison messages" };
    match total - shown {
        0 => format!("{total} {noun}."),
        more => format!("{total} {noun}, of which {more} are not listed."),
    }
}

async fn resolve(queues: &Queues, which: &Which, action: PoisonAction, as_json: bool) -> Result<(), String> {
    let Resolved { done, error } = queues.resolve(|message| which.wants(message), action).await;
    let missing = which.unmatched(&done);
    let verb = match action {
        PoisonAction::Requeue => "requeued",
        PoisonAction::Delete => "deleted",
    };
    if as_json {
        print(&json!({verb: messages(&done), "notFound": missing}).to_string());
    } else {
        for message in &done {
            print(&format!("{verb}: {} ({})", message.id, users(message)));
        }
    }
    if let Some(error) = error {
        let count = done.len();
        return Err(format!(
            "{error}. Messages {verb} before the error: {count}. The command can be repeated."
        ));
    }
    if !missing.is_empty() {
        let names = missing.join(", ");
        return Err(format!("{POISON} has no message of {names}: `firstpass jobs` lists the messages"));
    }
    if done.is_empty() && !as_json {
        print(&format!("{POISON} is empty."));
    }
    Ok(())
}

/// Lists what a deletion would delete.
async fn dry_run(queues: &Queues, which: &Which, as_json: bool) -> Result<(), String> {
    let mut poison = queues.poison_messages().await.map_err(|error| error.to_string())?;
    let unseen = poison.total - poison.messages.len();
    poison.messages.retain(|message| which.wants(message));
    if as_json {
        print(&json!({"wouldDelete": messages(&poison.messages)}).to_string());
    } else if !poison.messages.is_empty() {
        print(&table(&poison.messages));
    }
    let more = if unseen == 0 { String::new() } else { format!("; {unseen} more messages were not checked") };
    match poison.messages.len() {
        0 => {
            Err(format!("nothing was deleted: no message matches{more}; `firstpass jobs` lists the messages"))
        }
        count => Err(format!("nothing was deleted: --yes deletes the {count} above{more}")),
    }
}

fn table(messages: &[QueueMessage]) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header(["Moved to the poison queue", "Users", "Reason", "Message id"]);
    for message in messages {
        let at = message.inserted.format("%Y-%m-%d %H:%M UTC").to_string();
        let why = match Subject::of(message).job {
            Some(job) => job.reason.to_string(),
            None if message.decoded().is_none() => "not base64".to_owned(),
            None => "–".to_owned(),
        };
        table.add_row([at, users(message), why, message.id.clone()]);
    }
    table.to_string()
}

fn users(message: &QueueMessage) -> String {
    let people: Vec<String> = Subject::of(message).people().map(|(_, name)| name).collect();
    if people.is_empty() { format!("no user: {}", message.excerpt(EXCERPT)) } else { people.join(", ") }
}

fn messages(messages: &[QueueMessage]) -> Vec<Value> {
    let to_json = |message: &QueueMessage| {
        let subject = Subject::of(message);
        let users: Vec<String> = subject.people().map(|(_, name)| name).collect();
        json!({
            "messageId": message.id,
            "insertedAt": message.inserted,
            "expiresAt": message.expires,
            "dequeueCount": message.dequeue_count,
            "users": users,
            "reason": subject.job.as_ref().map(|job| job.reason),
            "jobKey": subject.job.as_ref().map(|job| &job.key),
            "isBase64": message.decoded().is_some(),
            "text": message.content(),
        })
    };
    messages.iter().map(to_json).collect()
}
