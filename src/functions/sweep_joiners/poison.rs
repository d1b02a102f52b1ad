//! What the host gave up lies in `pass-jobs-poison`, where nobody looks: the sweep does, and tells a person once.

use std::{collections::BTreeMap, error::Error, time::Duration};

use chrono::{DateTime, Utc};
use futures::{StreamExt, stream};
use tokio::time::timeout;
use uuid::Uuid;

use crate::{
    app::App,
    pass::{Subject, alert::Alert},
    queue::{POISON, PoisonMessages},
};

/// For finding out who the messages are about: the host waits for the sweep. Names are nice to have.
const WHO_TIME: Duration = Duration::from_secs(15);
const AT_ONCE: usize = 4;

/// Somebody whose message was given up.
#[derive(Clone, Debug)]
struct Person {
    user: Option<Uuid>,
    /// As a person knows them, if we could find out.
    name: String,
    /// When their last message was put there.
    last: DateTime<Utc>,
    /// A pass reached them after that.
    is_served: bool,
}

/// Looks, and tells a person where a person must act. The text of a message stays out of it, as ever; a queue that
/// cannot be read does not hold up the sweep.
pub(super) async fn alert_poison_messages(app: &App) {
    let Some(queues) = &app.queues else {
        let why = "there is no AzureWebJobsStorage that says where the queues are";
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
    let Some(oldest) = poison.messages.iter().map(|message| message.inserted).min() else { return };
    let named = people(&poison);
    let people = timeout(WHO_TIME, known(app, named.clone())).await.unwrap_or(named);
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
        "There are messages in the poison queue"
    );
    if waiting.is_empty() && nameless == 0 && unseen == 0 {
        return;
    }
    app.services.alert(&poison_alert(&poison, oldest, &waiting, &served, nameless, unseen)).await;
}

/// Everyone whom the messages name, as the messages name them.
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

/// The same, with what the tenant and the ledger know of them.
async fn known(app: &App, people: Vec<Person>) -> Vec<Person> {
    stream::iter(people).map(|person| known_person(app, person)).buffered(AT_ONCE).collect().await
}

async fn known_person(app: &App, mut person: Person) -> Person {
    let user = match person.user {
        Some(user) => {
            if let Ok(Some(name)) = app.services.graph.sign_in_name(user).await {
                person.name = name;
            }
            Some(user)
        }
        None => app.services.graph.find_user(&person.name).await.unwrap_or_default(),
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
        who.push("nobody who waits".into());
    }
    let (noun, lie) = if poison.total == 1 { ("message", "lies") } else { ("messages", "lie") };
    let mut what_happened = format!(
        "{} {noun} {lie} in the queue {POISON}, the oldest since {} UTC: tried as often as the host tries, or not \
         readable for it.",
        poison.total,
        oldest.format("%Y-%m-%d %H:%M"),
    );
    if !served.is_empty() {
        what_happened += &format!(" Served by a later job: {}.", names(served));
    }
    let was = if poison.total == 1 { "was" } else { "were" };
    Alert {
        headline: format!("{} {noun} {was} given up", poison.total),
        who: who.join(", "),
        what_happened,
        what_to_do: "\"firstpass jobs\" lists them. When the cause is gone, \"firstpass jobs requeue --all\" has them \
                     tried again; \"firstpass jobs delete --all --yes\" removes them, as the queue does by itself \
                     after seven days. Joiners are taken up by the sweep either way."
            .into(),
        reference: POISON.into(),
    }
}
