//! Every time-out and every number of tries, with what it bounds, and the proof that the sums of the time-outs fit into
//! what the platform allows.
//!
//! The Functions host kills the handler, and with it everything that it is doing, when one invocation takes longer than
//! `functionTimeout`. The platform ends an HTTP call after 230 seconds. A time-out below ends the work that it bounds,
//! the request under way included.

use std::time::Duration;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// `functionTimeout` in host.json; a test compares the two.
pub const FUNCTION_TIMEOUT: Duration = seconds(600);
/// After this the load balancer ends an HTTP call
/// (<https://learn.microsoft.com/azure/azure-functions/functions-scale#timeout>).
pub(crate) const HTTP_TIMEOUT: Duration = seconds(230);

// How often: a request inside one send of a mail, a send inside one delivery, a delivery of one message.

/// The tries of one request to Graph (`graph/retry.rs`).
pub(crate) const GRAPH_TRIES: u32 = 4;
/// The sends of one mail while the answers leave open whether it was sent. Two copies of a working code are better than
/// one copy of a deleted code.
pub(crate) const MAIL_SENDS: u32 = 3;
/// How often the host delivers a message before it moves it to the poison queue: `maxDequeueCount` in host.json.
pub const DELIVERIES: u32 = 10;

// One request.

/// Connecting to any server.
pub(crate) const CONNECT: Duration = seconds(10);
/// One try of a request to Graph.
pub(crate) const GRAPH_TRY: Duration = seconds(30);
/// One request to an endpoint for codes or alerts, its token included.
pub(crate) const WEBHOOK_TRY: Duration = seconds(30);
/// The next part of a large answer, for which others wait.
pub(crate) const GRAPH_CHUNK: Duration = seconds(3);
/// The longest wait between two tries, whatever Retry-After says.
pub(crate) const RETRY_AFTER_MAX: Duration = seconds(120);
/// A request to Graph without a deadline of its own, retries included.
pub(crate) const GRAPH_REQUEST: Duration = seconds(150);
/// A change in the tenant is not sent with less time than this before its deadline: an answer that is cut off leaves
/// open whether the change happened.
pub(crate) const GRAPH_CHANGE_MIN: Duration = seconds(10);
/// One try of a request to Azure Storage. Answers take milliseconds.
pub(crate) const STORAGE_TRY: Duration = seconds(5);
/// Reading or writing one record, retries included.
pub const LEDGER_CALL: Duration = seconds(15);
/// Finding out which tenant the app and the ledger belong to, once in each process.
pub(crate) const LEDGER_TENANT: Duration = seconds(45);
/// Listing the ledger.
pub const LEDGER_LISTING: Duration = seconds(45);
/// One operation on a queue, retries included.
pub(crate) const QUEUE_CALL: Duration = seconds(10);
/// Putting the messages that wake the app.
pub(crate) const WAKE_UPS: Duration = seconds(30);
/// Sending an alert, or keeping it for the next summary.
pub(crate) const ALERT: Duration = seconds(45);
/// Finding out which of the two.
pub(crate) const ALERT_CLAIM: Duration = seconds(5);
/// Sending the summary. It starts only if the invocation has the time.
pub(crate) const SUMMARY: Duration = seconds(120);

/// Finding out at the start of a job whether the mailbox that sends refuses all mails. Otherwise that is read beside the tenant.
pub(crate) const READ_MAILBOX: Duration = seconds(5);
/// Writing down whether it does.
pub(crate) const NOTE_MAILBOX: Duration = seconds(15);
/// Sending a mail without a code to a joiner or a manager.
pub(crate) const NOTE: Duration = seconds(45);
/// Waiting for the permit to do so: longer than the minute after which the mailbox takes more.
pub(crate) const NOTE_PERMIT: Duration = seconds(80);
/// One note that follows a delivery: the permit, the record, the mail, and the record again if it was not sent.
pub(crate) const ONE_NOTE: Duration = seconds(170);
/// Reading who is to be told of a delivery, and telling them. Of those who are left another message has them told.
pub(crate) const NOTES: Duration = seconds(540);
/// Telling somebody at an address that does not count any more, of all.
pub(crate) const OLD_ADDRESS: Duration = seconds(30);

// OnGroupAdd.

/// Finding a user by name, with the retries for an account that has not been replicated yet.
pub(crate) const RESOLVE_USER: Duration = seconds(50);
/// Finding out whether joiners wait behind a message that has waited itself.
pub(crate) const GOES_BEHIND: Duration = seconds(5);
/// Counting the additions to the on-demand group.
pub(crate) const ADMISSION: Duration = seconds(15);
/// Reading the names of an account that was deleted. Without an answer an alert names the object id.
pub(crate) const DELETED_USER: Duration = seconds(10);
/// Reading the tenant, with the same retries.
pub(crate) const SNAPSHOT: Duration = seconds(135);
/// From the start of a job to its lease, but for the record, if it waits for the mailbox and reads again.
pub(crate) const BEFORE_LEASE: Duration = seconds(150);
/// Reading again, of that.
pub(crate) const READ_AGAIN: Duration = seconds(45);
/// From the lease to the last change in the tenant and the last mail: shorter than [`LEASE`].
pub(crate) const WORK: Duration = seconds(240);
/// How long every other job respects a lease (`Record::leased_until`).
pub const LEASE: Duration = seconds(300);
/// Deleting a pass that was not delivered. If it fails, the next job replaces the pass.
pub(crate) const CLEANUP: Duration = seconds(30);
/// Reading the on-demand group and the records of its new members.
pub(crate) const GROUP_SYNC: Duration = seconds(240);

// Examinations.

/// Reading who starts in the next days.
pub(crate) const EXAMINED_PEOPLE: Duration = seconds(240);
/// Looking at them, of that.
pub(crate) const EXAMINED_LOOKS: Duration = seconds(90);
/// Reading the policies and the source of joiners, beside them.
pub(crate) const EXAMINED_TENANT: Duration = seconds(240);
/// Reading the ledger, the queue and the subscription, beside them.
pub(crate) const EXAMINED_OPERATION: Duration = seconds(240);

// Digests.

/// Reading the records that changed. Those that are left are counted.
pub(crate) const DIGEST_RECORDS: Duration = seconds(60);
/// Reading the names of the people in it. Without them it has object ids.
pub(crate) const DIGEST_NAMES: Duration = seconds(30);

// CreateTap.

/// From the start of a call to the last change in the tenant and the last mail.
pub(crate) const CALL: Duration = seconds(140);
/// Finding the user.
pub(crate) const CALL_RESOLVE_USER: Duration = seconds(30);
/// Reading the tenant.
pub(crate) const CALL_SNAPSHOT: Duration = seconds(60);
/// From the lease to the last change in the tenant and the last mail.
pub(crate) const CALL_WORK: Duration = seconds(90);
/// From the lease to the deadline of a call that has waited for the mailbox.
pub(crate) const CALL_MAIL: Duration = seconds(50);
/// Waiting for the permit for a notice to the user, while the caller waits for the code.
pub(crate) const CALL_NOTICE: Duration = seconds(5);
/// A manager who gets no pass is not answered before this time after the call: how long it took would tell why.
pub(crate) const CALL_REFUSED: Duration = seconds(5);
/// Deleting a pass that the caller does not get.
pub(crate) const CALL_CLEANUP: Duration = seconds(20);

// The messages of one answer, which the host writes into the queue one after the other within `functionTimeout`. It was seen to need
// 5 to 10 ms for each.

/// The jobs for joiners in one answer of a sweep: nearly an hour's mails of one mailbox.
pub const SWEEP_PART: usize = 1_500;
/// The jobs for new members of the on-demand group in one answer.
pub const SYNC_PART: usize = 400;
/// The time that the host has for one message.
const MESSAGE: Duration = Duration::from_millis(20);
/// The time that it has for an answer.
pub(crate) const OUTPUT: Duration = seconds(40);
// A message from outside that becomes 500 jobs has its own answer.
const _: () = assert!((SWEEP_PART + SYNC_PART + 100) as u128 * MESSAGE.as_millis() <= OUTPUT.as_millis());

// SweepJoiners.

/// Finding all joiners.
pub(crate) const SWEEP_SEARCH: Duration = seconds(125);
/// Looking at the users who were sent a pass. Those who are left are looked at by the next sweep.
pub(crate) const SWEEP_LOOK: Duration = seconds(45);
/// Finding joiners who are late, and telling a person of some.
pub(crate) const SWEEP_LATE: Duration = seconds(60);
/// Looking whether they are in already. Of those who are left, their jobs look.
pub(crate) const SWEEP_LATE_LOOK: Duration = seconds(15);
/// Reading the tenant's domains. Without an answer those of the last sweep count.
pub(crate) const SWEEP_DOMAINS: Duration = seconds(20);
/// Holding back more people than SWEEP_MAX.
pub(crate) const SWEEP_CAP: Duration = seconds(70);
/// Looking at the people of whom a sweep that does not act tells. Of those who are left it says how many they are.
pub(crate) const SWEEP_REPORT: Duration = seconds(40);
/// Everything in a sweep that is not about joiners: poison messages, the on-demand group, its subscription.
pub(crate) const SWEEP_OTHER: Duration = seconds(165);
/// Finding the names of the users that poison messages are about.
pub(crate) const SWEEP_NAMES: Duration = seconds(15);
/// Reading the on-demand group.
pub(crate) const SWEEP_GROUP_SYNC: Duration = seconds(45);
/// Creating or renewing the subscription to the on-demand group.
pub(crate) const SWEEP_SUBSCRIPTION: Duration = seconds(40);

// The longest path of each invocation. The steps stand in the order in which they happen.

// Which tenant the ledger belongs to, and what is known of addresses, is read beside the tenant.
const _: () = {
    assert!(fits(total(&[GRAPH_TRY, LEDGER_CALL]), LEDGER_TENANT));
    assert!(fits(LEDGER_TENANT, CALL_SNAPSHOT) && fits(CALL_SNAPSHOT, SNAPSHOT));
};

const _: () = {
    let read = total(&[SNAPSHOT, LEDGER_CALL]);
    assert!(fits(read, BEFORE_LEASE));
    let inputs = total(&[RESOLVE_USER, ADMISSION, GOES_BEHIND, READ_MAILBOX, BEFORE_LEASE, LEDGER_CALL]);
    let settled = total(&[LEDGER_CALL, LEDGER_CALL]);
    // A job by sign-in name that takes the lease, makes a pass, has its mail refused, deletes the pass, writes the record
    // and looks whether the write arrived, on the last delivery, which sends an alert.
    let delivered = total(&[inputs, LEDGER_CALL, WORK, CLEANUP, settled, ALERT]);
    assert!(fits(delivered, FUNCTION_TIMEOUT)); // 590 of 600 s
    // The mailbox refuses all mails: that is written down instead of an alert.
    assert!(fits(NOTE_MAILBOX, ALERT) && fits(total(&[WORK, NOTE_MAILBOX, CLEANUP]), LEASE));
    // A pass that ended unused is replaced: an alert more, and the job has the user's id.
    let reissued = total(&[read, ALERT, LEDGER_CALL, WORK, CLEANUP, settled, ALERT]);
    assert!(fits(reissued, FUNCTION_TIMEOUT)); // 555 of 600 s
    // A pass is too short for some zones: an alert that is for everybody.
    let told = total(&[LEDGER_CALL, ALERT, LEDGER_CALL]);
    let short = total(&[read, told, LEDGER_CALL, WORK, CLEANUP, settled, ALERT]);
    assert!(fits(short, FUNCTION_TIMEOUT)); // 585 of 600 s
    // Nobody knows whether a mail arrived: an alert, the record, and another alert if it could not be written.
    let unclear = total(&[inputs, LEDGER_CALL, WORK, ALERT, LEDGER_CALL, ALERT]);
    assert!(fits(unclear, FUNCTION_TIMEOUT)); // 585 of 600 s
    let unclear = total(&[read, told, LEDGER_CALL, WORK, ALERT, LEDGER_CALL, ALERT]);
    assert!(fits(unclear, FUNCTION_TIMEOUT)); // 585 of 600 s
    // A pass is revoked, or deleted because its account is privileged: an alert, the record, and on the last delivery
    // another alert if the record could not be written.
    let revoked = total(&[inputs, GRAPH_REQUEST, ALERT, LEDGER_CALL, ALERT]);
    assert!(fits(revoked, FUNCTION_TIMEOUT));
    // An account was deleted.
    assert!(fits(total(&[inputs, DELETED_USER, ALERT, LEDGER_CALL, DELETED_USER, ALERT]), FUNCTION_TIMEOUT));
    // A joiner is reminded, after the record says so, and the manager told; or the reminder is refused.
    let note = total(&[NOTE, NOTE_MAILBOX]);
    let reminded = total(&[inputs, NOTE_PERMIT, LEDGER_CALL, note, NOTE_PERMIT, note, LEDGER_CALL]);
    assert!(fits(reminded, FUNCTION_TIMEOUT));
    // Notes: one at least, and the last delivery gives them up.
    assert!(fits(total(&[NOTE_PERMIT, LEDGER_CALL, note, LEDGER_CALL]), ONE_NOTE));
    assert!(fits(total(&[BEFORE_LEASE, LEDGER_CALL, ONE_NOTE]), NOTES));
    assert!(fits(total(&[GOES_BEHIND, NOTES, LEDGER_CALL, LEDGER_CALL]), FUNCTION_TIMEOUT));
    // An account is still disabled: an alert, the record, the manager.
    assert!(fits(total(&[inputs, ALERT, LEDGER_CALL, NOTE_PERMIT, note]), FUNCTION_TIMEOUT));
    // A corrected address: whoever has the old one is told at the end, also if nobody knows whether the mail arrived.
    assert!(fits(total(&[inputs, LEDGER_CALL, WORK, settled, OLD_ADDRESS]), FUNCTION_TIMEOUT));
    assert!(fits(total(&[read, LEDGER_CALL, WORK, ALERT, LEDGER_CALL, OLD_ADDRESS]), FUNCTION_TIMEOUT));
    // The clock is wrong: the conditions are read and written around the alert for all.
    assert!(fits(total(&[inputs, told]), FUNCTION_TIMEOUT));
    // An examination, which is due if no other process has made it.
    let examined = total(&[LEDGER_CALL, LEDGER_TENANT, GRAPH_TRY, EXAMINED_PEOPLE, LEDGER_CALL, LEDGER_CALL]);
    assert!(fits(examined, FUNCTION_TIMEOUT));
    assert!(fits(EXAMINED_TENANT, EXAMINED_PEOPLE) && fits(EXAMINED_OPERATION, EXAMINED_PEOPLE));
    // A digest: the ledger is read beside those who start; it is claimed when the mailbox permits its mail.
    assert!(fits(total(&[LEDGER_LISTING, DIGEST_RECORDS, LEDGER_CALL]), EXAMINED_PEOPLE));
    let told = total(&[DIGEST_NAMES, NOTE_PERMIT, LEDGER_CALL, ALERT]);
    let digest = total(&[LEDGER_CALL, LEDGER_TENANT, EXAMINED_PEOPLE, LEDGER_CALL, told, NOTE_MAILBOX]);
    assert!(fits(digest, FUNCTION_TIMEOUT));
    // A change notification: one alert for what cannot be read of it, and one on the last delivery.
    let notified = total(&[ADMISSION, GROUP_SYNC, ALERT, ALERT, OUTPUT]);
    assert!(fits(notified, FUNCTION_TIMEOUT));
};

const _: () = {
    // The deadline of the call bounds everything up to the last change.
    let before = total(&[CALL_RESOLVE_USER, CALL_SNAPSHOT, LEDGER_CALL, LEDGER_CALL]);
    assert!(fits(before, CALL));
    // The clock is wrong: an alert.
    let told = total(&[LEDGER_CALL, ALERT, LEDGER_CALL]);
    assert!(fits(total(&[CALL_RESOLVE_USER, CALL_SNAPSHOT, told]), HTTP_TIMEOUT));
    // Then the record is written, looked up when the answer was lost, and the pass deleted when the write failed.
    let after = total(&[CALL, LEDGER_CALL, LEDGER_CALL, CALL_CLEANUP, WAKE_UPS]);
    assert!(fits(after, HTTP_TIMEOUT)); // 220 of 230 s
    // Or it is, and the message that has others told is put into the queue.
    assert!(fits(total(&[CALL, LEDGER_CALL, LEDGER_CALL, QUEUE_CALL, WAKE_UPS]), HTTP_TIMEOUT));
    assert!(fits(total(&[QUEUE_CALL, QUEUE_CALL, QUEUE_CALL]), WAKE_UPS));
};

const _: () = {
    // What sweeps leave for the next one is read, and that they failed is ended. The last sweep is written by SWEEP_OTHER.
    let status = total(&[LEDGER_CALL, LEDGER_CALL, LEDGER_CALL]);
    let joiners = total(&[SWEEP_LATE, SWEEP_CAP, SWEEP_LOOK]);
    let sweep = total(&[SWEEP_SEARCH, status, LEDGER_LISTING, joiners, SWEEP_OTHER, OUTPUT]);
    // One by a message finds out first whether it is needed.
    assert!(fits(total(&[READ_MAILBOX, sweep]), FUNCTION_TIMEOUT)); // 600 of 600 s
    // The search for the rest of the jobs, with the alert of the last delivery.
    let continued = total(&[SWEEP_SEARCH, status, LEDGER_LISTING, joiners, ALERT, OUTPUT]);
    assert!(fits(continued, FUNCTION_TIMEOUT));
    // Without the records nobody is held back.
    assert!(fits(ALERT, SWEEP_CAP) && fits(total(&[SWEEP_LATE_LOOK, ALERT]), SWEEP_LATE));
    assert!(fits(total(&[SWEEP_SEARCH, status, ALERT]), FUNCTION_TIMEOUT));
    // What a condition costs: it is read and written around its alert.
    let told = total(&[LEDGER_CALL, ALERT, LEDGER_CALL]);
    // Each fits alone. What does not fit together is cut off, and the next sweep does it.
    assert!(fits(total(&[QUEUE_CALL, QUEUE_CALL, SWEEP_NAMES, told]), SWEEP_OTHER));
    assert!(fits(total(&[SWEEP_GROUP_SYNC, told]), SWEEP_OTHER));
    let renewed = total(&[LEDGER_CALL, LEDGER_CALL, SWEEP_SUBSCRIPTION, ALERT]);
    assert!(fits(total(&[SWEEP_GROUP_SYNC, renewed]), SWEEP_OTHER));
    // One that does not act tells of it, in place of putting out its jobs.
    assert!(fits(total(&[SWEEP_REPORT, told]), total(&[SWEEP_OTHER, OUTPUT])));
    // What the next sweep has to know is written twice if another process writes the same document.
    let ended = total(&[LEDGER_CALL, LEDGER_CALL]);
    assert!(fits(total(&[SWEEP_DOMAINS, ended, ended]), SWEEP_OTHER));
};

// No other job starts while a change of this one may still be under way, and a request can be tried at least once.
const _: () = {
    assert!(
        fits(total(&[WORK, CLEANUP]), LEASE)
            && fits(total(&[CALL_WORK, LEDGER_CALL, LEDGER_CALL, CALL_CLEANUP]), LEASE)
    );
    assert!(fits(total(&[ALERT_CLAIM, WEBHOOK_TRY]), ALERT));
    assert!(fits(total(&[ALERT_CLAIM, GRAPH_CHANGE_MIN, GRAPH_TRY]), ALERT) && fits(GRAPH_TRY, CLEANUP));
    assert!(fits(total(&[RETRY_AFTER_MAX, GRAPH_TRY]), GRAPH_REQUEST));
    assert!(
        fits(CONNECT, GRAPH_TRY)
            && fits(CONNECT, WEBHOOK_TRY)
            && fits(STORAGE_TRY, QUEUE_CALL)
            && fits(QUEUE_CALL, LEDGER_CALL)
    );
};

const fn total(parts: &[Duration]) -> Duration {
    let mut total = Duration::ZERO;
    let mut at = 0;
    while at < parts.len() {
        total = total.saturating_add(parts[at]);
        at += 1;
    }
    total
}

const fn fits(time: Duration, limit: Duration) -> bool {
    time.as_secs() <= limit.as_secs()
}
