//! From the group to the mail, through Graph's notifications, Event Grid, the queue and the Functions host.

use std::time::Duration;

use firstpass_sandbox::{
    functions_host::Storage,
    tenant::{EventGrid, Removed, samples::PARTNER_TOPIC},
};

use super::{replays::start, *};

/// An office whose group is watched, and whose Graph takes 100 ms for each answer.
async fn watched(
    people: usize,
    members: usize,
    grid: impl FnOnce(EventGrid) -> EventGrid,
) -> (Office, Storage) {
    let office = Office::with(people, members, &[("EVENT_GRID_PARTNER_TOPIC", PARTNER_TOPIC)]);
    // It has Graph tell from now on.
    office.world.sweep().await;
    let sandbox = &office.world.sandbox;
    let storage = Storage::new(sandbox.clock());
    sandbox.connect_event_grid(grid(EventGrid::delivering_to(storage.event_sink("pass-jobs"))));
    sandbox.edit(|tenant| tenant.latency = Duration::from_millis(100));
    (office, storage)
}

#[tokio::test(start_paused = true)]
async fn a_member_who_is_added_has_a_mail_within_a_second() {
    for names in [None, Some(Removed::Text), Some(Removed::Object)] {
        let grid = |grid: EventGrid| match names {
            Some(removed) => grid.naming_members(removed),
            None => grid,
        };
        let (office, storage) = watched(14, 12, grid).await;
        let _host = start(&office.world, &storage);
        let before = office.world.sandbox.now();
        office.add(12);
        storage.wait_until_empty("pass-jobs").await;
        let took = office.world.sandbox.mails()[0].at - before;
        assert!(took < TimeDelta::seconds(1), "{names:?}: {took}");
        assert_eq!(office.mailed(), [12], "{names:?}");
        office.world.assert_newest_mail_opens(office.people[12]);
        office.remove(12);
        office.remove(0);
        office.add(13);
        storage.wait_until_empty("pass-jobs").await;
        assert_eq!(office.mailed(), [12, 13], "{names:?}");
        assert_eq!(office.world.alerts(), [] as [Value; 0], "{names:?}");
    }
}

/// A hundred people in one go, on two hosts: as many notifications, and none of them may hold up the others for long.
#[tokio::test(start_paused = true)]
async fn a_hundred_who_are_added_at_once_have_their_mails_within_minutes() {
    let (office, storage) = watched(112, 12, |grid| grid).await;
    let other = office.world.another_instance();
    let _hosts = [start(&office.world, &storage), start(&other, &storage)];
    let before = office.world.sandbox.now();
    (12..112).for_each(|person| office.add(person));
    storage.wait_until_empty("pass-jobs").await;
    assert_eq!(office.sorted_mailed(), (12..112).collect::<Vec<_>>());
    assert_eq!(storage.messages("pass-jobs-poison").len(), 0);
    assert_eq!(office.world.alerts(), [] as [Value; 0]);
    let last = office.world.sandbox.mails().iter().map(|mail| mail.at).max().unwrap();
    assert!(last - before < TimeDelta::minutes(5), "{}", last - before);
}
