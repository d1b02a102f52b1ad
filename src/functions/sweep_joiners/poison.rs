//! The sweep alerts once about all messages in the poison queue, `pass-jobs-poison`.

use std::{collections::BTreeMap, error::Error};

use chrono::{DateTime, Utc};
use futures::{StreamExt, stream};
use tokio::time::timeout;
use uuid::Uuid;

use crate::{
    app::App,
    budget,
    ledger::{ConditionName, Urgency},
    pass::{Subject, alert::Alert, condition, domains, replication},
    queue::{POISON, PoisonMessages},
};

/// How many users are looked up at the same time.
const CONCURRENT_LOOKUPS: usize = 4;

/// A user whom a poison message is about.
#[derive(Clone, Debug)]
struct Person {
    user: Option<Uuid>,
    /// The sign-in name where it could be read, else the object id.
    name: String,
    /// When the last message about this user was queued.
    last: DateTime<Utc>,
    /// Whether a pass was delivered after that.
    is_served: bool,
}

/// Sends one alert about the poison messages whose users still wait. The alert does not quote a message. A queue that
/// cannot be read does not stop the sweep.
pub(super) async fn alert_poison_messages(app: &App) {
    let Some(queues) = &app.queues else {
        let why = "AzureWebJobsStorage does not say where the queues are";
        tracing::info!(event = "poison.not_read", queue = POISON, why, "The poison queue was not read");
        return;
    };
    let poison = match queues.poison_messages().await {
        Ok(poison) => poison,
        Err(error) => {
            tracing::warn!(
                event = "poison.not_read",
                queue = POISON,
                why = &error as &dyn Error,
                "The poison queue could not be read; the next sweep tries again"
            );
            return;
        }
    };
    let Some(oldest) = poison.messages.iter().map(|message| message.inserted).min() else {
        condition::end(&app.services, ConditionName::PoisonMessages).await;
        return;
    };
    let named = people(&poison);
    let people = timeout(budget::SWEEP_NAMES, look_up(app, named.clone())).await.unwrap_or(named);
    let nameless =
        poison.messages.iter().filter(|message| Subject::of(message).people().next().is_none()).count();
    let unseen = poison.total - poison.messages.len();
    let (served, waiting): (Vec<_>, Vec<_>) = people.into_iter().partition(|person| person.is_served);
    tracing::info!(
        event = "poison.found",
        queue = POISON,
        messages = poison.total,
        waiting = waiting.len(),
        served = served.len(),
        nameless,
        unseen,
        "There are messages in the poison queue"
    );
    if waiting.is_empty() && nameless == 0 && unseen == 0 {
        condition::end(&app.services, ConditionName::PoisonMessages).await;
        return;
    }
    let alert = poison_alert(&poison, oldest, &waiting, &served, nameless, unseen);
    condition::report(&app.services, ConditionName::PoisonMessages, Urgency::Now, &alert).await;
}

/// All users whom the messages name, as the messages name them.
fn people(poison: &PoisonMessages) -> Vec<Person> {
    let mut people: BTreeMap<String, Person> = BTreeMap::new();
    for message in &poison.messages {
        let last = message.inserted;
        for (user, name) in Subject::of(message).people() {
            let person = Person { user, name: name.clone(), last, is_served: false };
            let person = people.entry(name).or_insert(person);
            person.last = person.last.max(last);
        }
    }
    people.into_values().collect()
}

/// The same users with their sign-in names and whether they were served.
async fn look_up(app: &App, people: Vec<Person>) -> Vec<Person> {
    stream::iter(people)
        .map(|person| look_up_person(app, person))
        .buffered(CONCURRENT_LOOKUPS)
        .collect()
        .await
}

async fn look_up_person(app: &App, mut person: Person) -> Person {
    let user = match person.user {
        Some(user) => {
            person.name = match app.services.graph.sign_in_name(user).await {
                Ok(Some(name)) => name,
                Ok(None) => match replication::deleted(&app.services, user, None).await.name {
                    name if name == user.to_string() => name,
                    name => format!("{name} (deleted)"),
                },
                Err(_) => person.name,
            };
            Some(user)
        }
        None => {
            let user = app.services.graph.find_user(&person.name).await.unwrap_or_default();
            if user.is_none() {
                person.name = domains::shown_name(&app.services, &person.name).await;
            }
            user
        }
    };
    if let Some(user) = user
        && let Ok(Some((record, _))) = app.services.ledger.read(user).await
    {
        person.is_served = record.delivered.is_some_and(|delivered| delivered.at > person.last);
    }
    person
}

fn poison_alert(
    poison: &PoisonMessages,
    oldest: DateTime<Utc>,
    waiting: &[Person],
    served: &[Person],
    nameless: usize,
    unseen: usize,
) -> Alert {
    let names = |people: &[Person]| people.iter().map(|p| p.name.as_str()).collect::<Vec<_>>().join(", ");
    let mut who: Vec<String> = waiting.iter().map(|person| person.name.clone()).collect();
    match nameless {
        0 => {}
        1 => who.push("a message that names no user".into()),
        _ => who.push(format!("{nameless} messages that name no user")),
    }
    if unseen > 0 {
        who.push(format!("{unseen} more messages"));
    }
    if who.is_empty() {
        who.push("no user: all were served since".into());
    }
    let (noun, are) = if poison.total == 1 { ("message", "is") } else { ("messages", "are") };
    let mut what_happened = format!(
        "{} {noun} {are} in the queue {POISON}, the oldest since {} UTC: the host delivered each as often as host.json \
         says, or could not decode it.",
        poison.total,
        oldest.format("%Y-%m-%d %H:%M"),
    );
    if !served.is_empty() {
        what_happened += &format!(" Served by a later job: {}.", names(served));
    }
    Alert {
        kind: "poison-messages",
        headline: format!("{} {noun} {are} in the poison queue", poison.total),
        who: who.join(", "),
        what_happened,
        what_to_do: "\"firstpass jobs\" lists them. When the cause is fixed, \"firstpass jobs requeue --all\" puts them \
                     back into the queue; \"firstpass jobs delete --all --yes\" deletes them, as the queue does \
                     after seven days. Sweeps queue joiners anew either way."
            .into(),
        reference: POISON.into(),
    }
}
