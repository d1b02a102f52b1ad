//! From the group to the mail: Graph's notification, Event Grid, the queue and the Functions host.

use std::time::Duration;

use firstpass_sandbox::{
    functions_host::Storage,
    tenant::{EventGrid, Removed, samples::PARTNER_TOPIC},
};

use super::{redelivery::start, *};

/// A group with a subscription, in a tenant with a latency of 100 ms.
async fn group_with_subscription(
    people: usize,
    members: usize,
    grid: impl FnOnce(EventGrid) -> EventGrid,
) -> (GroupSetup, Storage) {
    let setup = GroupSetup::with_settings(people, members, &[("EVENT_GRID_PARTNER_TOPIC", PARTNER_TOPIC)]);
    // The sweep creates the subscription.
    setup.app.sweep().await;
    let sandbox = &setup.app.sandbox;
    let storage = Storage::new(sandbox.clock());
    sandbox.connect_event_grid(grid(EventGrid::delivering_to(storage.event_sink("pass-jobs"))));
    sandbox.edit(|tenant| tenant.latency = Duration::from_millis(100));
    (setup, storage)
}

#[tokio::test(start_paused = true)]
async fn an_added_member_is_mailed_within_a_second() {
    for names in [None, Some(Removed::Text), Some(Removed::Object)] {
        let grid = |grid: EventGrid| match names {
            Some(removed) => grid.naming_members(removed),
            None => grid,
        };
        let (setup, storage) = group_with_subscription(14, 12, grid).await;
        let _host = start(&setup.app, &storage);
        let before = setup.app.sandbox.now();
        setup.add(12);
        storage.wait_until_empty("pass-jobs").await;
        let took = setup.app.sandbox.mails()[0].at - before;
        assert!(took < TimeDelta::seconds(1), "{names:?}: {took}");
        assert_eq!(setup.mailed(), [12], "{names:?}");
        setup.app.assert_newest_mail_has_live_code(setup.people[12]);
        setup.remove(12);
        setup.remove(0);
        setup.add(13);
        storage.wait_until_empty("pass-jobs").await;
        assert_eq!(setup.mailed(), [12, 13], "{names:?}");
        assert_eq!(setup.app.alerts(), [] as [Value; 0], "{names:?}");
    }
}

/// A hundred notifications at once, on two hosts.
#[tokio::test(start_paused = true)]
async fn a_hundred_added_members_are_mailed_within_five_minutes() {
    let (setup, storage) = group_with_subscription(112, 12, |grid| grid).await;
    let other = setup.app.another_instance();
    let _hosts = [start(&setup.app, &storage), start(&other, &storage)];
    let before = setup.app.sandbox.now();
    (12..112).for_each(|person| setup.add(person));
    storage.wait_until_empty("pass-jobs").await;
    assert_eq!(setup.sorted_mailed(), (12..112).collect::<Vec<_>>());
    assert_eq!(storage.messages("pass-jobs-poison").len(), 0);
    assert_eq!(setup.app.alerts(), [] as [Value; 0]);
    let last = setup.app.sandbox.mails().iter().map(|mail| mail.at).max().unwrap();
    assert!(last - before < TimeDelta::minutes(5), "{}", last - before);
}
