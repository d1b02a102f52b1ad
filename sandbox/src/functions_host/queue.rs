//! The queue trigger: several messages at a time, each delivered at least once and at most `maxDequeueCount` times,
//! then moved to the poison queue (azure-webjobs-sdk `QueueListener.cs`, `QueueProcessor.cs`). The real host polls;
//! here a new message is received at once.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use chrono::TimeDelta;

use super::{
    Instance,
    function::Function,
    log::{Cause, Disposition, Failure, Level},
    message_encoding, payload,
    storage::StoredMessage,
};

const POISON: &str = "-poison";

/// Counts the messages that an instance processes.
struct InFlight {
    count: Arc<AtomicUsize>,
    host: Arc<Instance>,
}

impl InFlight {
    fn new(count: &Arc<AtomicUsize>, host: &Arc<Instance>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self { count: count.clone(), host: host.clone() }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::SeqCst);
        self.host.storage.clock().notify();
    }
}

pub(super) async fn listen(host: Arc<Instance>, function: Function, queue: String) {
    tokio::select! {
        () = host.supervisor.wait_until_stopped() => {}
        () = receive_messages(&host, &function, &queue) => {}
    }
}

async fn receive_messages(host: &Arc<Instance>, function: &Function, queue: &str) {
    let options = host.app.host.queues;
    let in_flight_count = Arc::new(AtomicUsize::new(0));
    loop {
        let batch = host.storage.clock().wait_for(|_| {
            if in_flight_count.load(Ordering::SeqCst) > options.new_batch_threshold {
                return Err(None);
            }
            let messages = host.storage.receive(queue, options.batch_size, host.id);
            if messages.is_empty() { Err(host.storage.next_visible(queue)) } else { Ok(messages) }
        });
        for message in batch.await {
            let in_flight = InFlight::new(&in_flight_count, host);
            let (host, function, queue) = (host.clone(), function.clone(), queue.to_owned());
            host.clone().spawn(async move {
                handle(&host, &function, &queue, &message).await;
                drop(in_flight);
            });
        }
    }
}

async fn handle(host: &Instance, function: &Function, queue: &str, message: &StoredMessage) {
    let options = host.app.host.queues;
    let storage = &host.storage;
    let Some(bytes) = message_encoding::decode(&message.text, options.base64) else {
        // The host says it twice.
        for _ in 0..2 {
            let text = format!(
                "Message decoding has failed! Check MessageEncoding settings. {queue} {}",
                message.id
            );
            host.log.print(Level::Warning, text);
        }
        return move_to_poison(host, queue, message);
    };
    // A handler that ended with its host has counted this delivery already.
    if message.dequeue_count > options.max_dequeue_count {
        let text = format!(
            "Message {} of {queue} is poison: it reached the maximum number of deliveries.",
            message.id
        );
        host.log.print(Level::Error, text);
        return move_to_poison(host, queue, message);
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let ran = if std::str::from_utf8(&bytes).is_ok() {
        let payload = payload::queue(&function.name, &function.input, &text, message, storage.now());
        host.invoke(function, &payload).await
    } else {
        host.fail(Failure::Input("it is not UTF-8".to_owned()))
    };
    let disposition = match &ran.result {
        Ok(_) => Disposition::Done,
        Err(_) if message.dequeue_count >= options.max_dequeue_count => Disposition::Poison,
        Err(_) => Disposition::Back,
    };
    let cause = Cause::Queue { queue: queue.to_owned(), message: message.id, text, disposition };
    let (invocation, _) = ran.into_invocation(function, cause, message.dequeue_count);
    host.log.write(invocation);
    match disposition {
        Disposition::Done => storage.delete(queue, message.receipt),
        Disposition::Poison => move_to_poison(host, queue, message),
        Disposition::Back => {
            let delay = TimeDelta::from_std(options.visibility_timeout).unwrap_or_default();
            storage.release(queue, message.receipt, delay);
        }
    }
}

/// Moves a message to the poison queue. One that is in a poison queue already is deleted.
fn move_to_poison(host: &Instance, queue: &str, message: &StoredMessage) {
    let poison = format!("{queue}{POISON}");
    if !queue.ends_with(POISON) && poison.len() <= 63 {
        // Cannot fail: the message is no longer than before.
        drop(host.storage.put(&poison, message.text.clone()));
    }
    host.storage.delete(queue, message.receipt);
}
