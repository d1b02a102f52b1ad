//! `firstpass jobs`: what the host gave up, for people: to see it, to have it tried again, to delete it.

use std::io::Write;

use clap::{Args, Subcommand};
use comfy_table::{Table, presets};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    azure::QueueService,
    environment::Environment,
    pass::Subject,
    queue::{JOBS, POISON, PoisonAction, PoisonMessages, QueueMessage, Queues, Resolved},
    startup, telemetry,
};

/// Characters of a message that nobody could read: enough to see where it comes from.
const EXCERPT: usize = 60;

/// What to do with the jobs that were given up.
#[derive(Debug, Args)]
pub struct Options {
    #[command(subcommand)]
    action: Option<Action>,
    /// The storage account of the function app; without it AzureWebJobsStorage says where the queues are
    #[arg(long, global = true, value_name = "NAME")]
    account: Option<String>,
    /// Print one JSON object
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Put them back onto pass-jobs, to be tried again
    Requeue {
        #[command(flatten)]
        which: Which,
    },
    /// Delete them
    Delete {
        #[command(flatten)]
        which: Which,
        /// Do delete; without it you see what would be
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// All of them
    #[arg(long)]
    all: bool,
    /// QueueMessage ids, or users as the list names them
    #[arg(value_name = "MESSAGE OR USER")]
    named: Vec<String>,
}

impl Which {
    fn wants(&self, message: &QueueMessage) -> bool {
        self.all || self.named.iter().any(|name| is(message, name))
    }

    /// Names that none of `messages` has.
    fn without(&self, messages: &[QueueMessage]) -> Vec<&str> {
        let is_missing = |name: &&String| !messages.iter().any(|message| is(message, name));
        self.named.iter().filter(is_missing).map(String::as_str).collect()
    }
}

fn is(message: &QueueMessage, name: &str) -> bool {
    let same = |own: &str| match (own.parse::<Uuid>(), name.trim().parse::<Uuid>()) {
        (Ok(own), Ok(name)) => own == name,
        _ => own.eq_ignore_ascii_case(name.trim()),
    };
    same(&message.id) || Subject::of(message).people().any(|(_, user)| same(&user))
}

/// Runs the command.
///
/// # Errors
/// What kept it from being done, and what to do.
pub fn run(options: &Options, env: &Environment) -> Result<(), String> {
    // For people: a log only where somebody asks for one.
    if env.get("RUST_LOG").is_some() {
        telemetry::init(env, std::io::stderr);
    }
    let service = service(options.account.as_deref(), env)?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    runtime.block_on(async {
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
            Some(Action::Delete { which, yes: false }) => rehearse(&queues, which, options.json).await,
        }
    })
}

fn service(account: Option<&str>, env: &Environment) -> Result<QueueService, String> {
    match account {
        Some(name) => QueueService::for_account(name).map_err(|what| format!("--account {what}")),
        None => QueueService::read(env).map_err(|report| report.to_string())?.ok_or_else(|| {
            "where are the queues? Name the function app's storage account with --account (you are whom `az login` \
             says, with the role Storage Queue Data Contributor there), or set AzureWebJobsStorage as the function \
             app has it"
                .to_owned()
        }),
    }
}

async fn list(queues: &Queues, as_json: bool) -> Result<(), String> {
    let poison = queues.poison_messages().await.map_err(|error| error.to_string())?;
    if as_json {
        say(&described(&poison).to_string());
    } else if poison.messages.is_empty() {
        say(&format!("Nothing was given up: {POISON} is empty."));
    } else {
        say(&table(&poison.messages));
        say(&format!("{}.", summary(&poison)));
        say(
            "To have them tried again: firstpass jobs requeue --all, or message ids, or users. To delete: firstpass \
             jobs delete.",
        );
    }
    Ok(())
}

fn summary(poison: &PoisonMessages) -> String {
    let (shown, total) = (poison.messages.len(), poison.total);
    let were = if total == 1 { "message was" } else { "messages were" };
    match total - shown {
        0 => format!("{total} {were} given up"),
        more => format!("{total} {were} given up; {more} behind these are not shown"),
    }
}

async fn resolve(queues: &Queues, which: &Which, action: PoisonAction, as_json: bool) -> Result<(), String> {
    let Resolved { done, error } = queues.resolve(|message| which.wants(message), action).await;
    let missing = which.without(&done);
    let word = match action {
        PoisonAction::Requeue => "requeued",
        PoisonAction::Delete => "deleted",
    };
    if as_json {
        say(&json!({word: messages(&done), "notFound": missing}).to_string());
    } else {
        for message in &done {
            let whom = whom(message);
            match action {
                PoisonAction::Requeue => say(&format!("back on {JOBS}: {} ({whom})", message.id)),
                PoisonAction::Delete => say(&format!("deleted: {} ({whom})", message.id)),
            }
        }
    }
    if let Some(error) = error {
        let so_far = done.len();
        return Err(format!("{error}. Messages {word} before that: {so_far}. Doing it once more is safe."));
    }
    if !missing.is_empty() {
        let names = missing.join(", ");
        return Err(format!("{POISON} has no message of {names}: `firstpass jobs` lists what it has"));
    }
    if done.is_empty() && !as_json {
        say(&format!("Nothing to do: {POISON} is empty."));
    }
    Ok(())
}

/// What a deletion would delete.
async fn rehearse(queues: &Queues, which: &Which, as_json: bool) -> Result<(), String> {
    let mut poison = queues.poison_messages().await.map_err(|error| error.to_string())?;
    let unseen = poison.total - poison.messages.len();
    poison.messages.retain(|message| which.wants(message));
    if as_json {
        say(&json!({"wouldDelete": messages(&poison.messages)}).to_string());
    } else if !poison.messages.is_empty() {
        say(&table(&poison.messages));
    }
    let more = if unseen == 0 {
        String::new()
    } else {
        format!(", and perhaps some of {unseen} that are not shown")
    };
    match poison.messages.len() {
        0 => Err(format!("nothing was deleted: no message is meant{more}; `firstpass jobs` lists them")),
        count => Err(format!("nothing was deleted: with --yes it would be the {count} above{more}")),
    }
}

fn table(messages: &[QueueMessage]) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header(["Given up", "Whom it is about", "Why", "QueueMessage id"]);
    for message in messages {
        let at = message.inserted.format("%Y-%m-%d %H:%M UTC").to_string();
        let why = match Subject::of(message).job {
            Some(job) => job.reason.to_string(),
            None if message.decoded().is_none() => "not base64".to_owned(),
            None => "–".to_owned(),
        };
        table.add_row([at, whom(message), why, message.id.clone()]);
    }
    table.to_string()
}

fn whom(message: &QueueMessage) -> String {
    let people: Vec<String> = Subject::of(message).people().map(|(_, name)| name).collect();
    if people.is_empty() { format!("no user: {}", message.excerpt(EXCERPT)) } else { people.join(", ") }
}

fn described(poison: &PoisonMessages) -> Value {
    json!({"queue": POISON, "total": poison.total, "messages": messages(&poison.messages)})
}

fn messages(messages: &[QueueMessage]) -> Vec<Value> {
    let described = |message: &QueueMessage| {
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
            "text": message.decoded().unwrap_or_else(|| message.text.clone()),
        })
    };
    messages.iter().map(described).collect()
}

fn say(line: &str) {
    // Nobody reads a closed pipe: not worth failing for.
    let _ = writeln!(std::io::stdout(), "{line}");
}
