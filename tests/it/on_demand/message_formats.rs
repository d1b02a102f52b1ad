//! The formats of messages about members.

use firstpass_sandbox::tenant::Fault;

use super::*;
use crate::helpers::fail_with;

#[tokio::test(start_paused = true)]
async fn every_format_of_one_member_leads_to_a_pass() {
    for format in 0..9 {
        let setup = GroupSetup::new(3, 2);
        let (id, now) = (setup.people[0], setup.app.sandbox.now());
        let added = || json!([{"id": id}]);
        let message = match format {
            0 => id.to_string(),
            1 => json!(id.to_string().to_uppercase()).to_string(),
            2 => "Person.N0@Contoso.Example\n".to_owned(),
            3 => json!({"id": id}).to_string(),
            4 => json!([{"id": id, "@odata.type": "#microsoft.graph.user"}]).to_string(),
            5 => setup.webhook(Some(added())),
            6 => setup.cloud_event(Some(added())),
            7 => json!([{"id": id}, {"id": setup.people[1], "@removed": {"reason": "deleted"}}]).to_string(),
            _ => json!({"jobKey": "group-add/7", "reason": "group-add", "userId": id, "since": now})
                .to_string(),
        };
        let processed = setup.process(&message).await;
        assert_eq!(
            (processed.outcomes, setup.mailed()),
            (vec!["delivered".to_owned()], vec![0]),
            "{message}"
        );
        setup.app.assert_newest_mail_has_live_code(id);
        assert_eq!(setup.app.sandbox.passes()[0].opens_at, setup.app.sandbox.now());
        assert_eq!(setup.app.alerts(), [] as [Value; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn several_members_in_one_message_become_a_job_each() {
    for format in 0..6 {
        let setup = GroupSetup::new(5, 4);
        let [a, b, c, d] = [0, 1, 2, 3].map(|person| setup.people[person]);
        let removed = |how: Value| json!([{"id": a}, {"id": d, "@removed": how}, {"id": b}, {"id": c}]);
        let message = match format {
            0 => setup.webhook(Some(removed(json!("deleted")))),
            1 => setup.cloud_event(Some(removed(json!({"reason": "deleted"})))),
            2 => removed(json!({"reason": "deleted"})).to_string(),
            3 => json!({"value": removed(json!("deleted"))}).to_string(),
            4 => json!([a, b, "person.n2@contoso.example"]).to_string(),
            _ => {
                let part = |user| setup.notification(Some(json!([{"id": user}])));
                json!({"value": [part(a), part(b), part(c), part(a)]}).to_string()
            }
        };
        let answer = setup.app.host.deliver(&message, 1).await;
        assert_eq!((setup.mailed(), answer.jobs().len()), (vec![], 3), "{message}");
        assert!(
            answer.jobs().iter().all(|job| !job.contains("\"id\"")),
            "the host uses the property `id` itself"
        );
        let mut processed = Processed::default();
        setup.run_jobs(answer.jobs(), &mut processed).await;
        assert_eq!(
            (processed.outcomes, setup.sorted_mailed()),
            (vec!["delivered".to_owned(); 3], vec![0, 1, 2]),
            "{message}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_failing_job_of_several_is_retried_alone() {
    let setup = GroupSetup::new(3, 3);
    let fault = Fault::on("POST", "sendMail", fail_with(400));
    setup.app.sandbox.inject(Fault { body_contains: "n1@mail.example".into(), ..fault });
    let items: Vec<Value> = setup.people.iter().map(|id| json!({"id": id})).collect();
    setup.process(&Value::from(items).to_string()).await;
    assert_eq!(setup.sorted_mailed(), [0, 1, 2], "one mail each");
    assert_eq!(setup.mailed()[2], 1, "the retry comes last");
}

#[tokio::test(start_paused = true)]
async fn removals_and_other_groups_are_ignored() {
    let setup = GroupSetup::new(2, 2);
    let id = setup.people[0];
    let other_group =
        setup.cloud_event(Some(json!([{"id": id}]))).replace(&setup.group.to_string(), &id.to_string());
    let lifecycle = json!({"value": [{"lifecycleEvent": "reauthorizationRequired", "subscriptionId": id}]});
    for (message, why) in [
        (json!({"id": id, "@removed": {"reason": "deleted"}}).to_string(), "removed"),
        (setup.webhook(Some(json!([{"id": id, "@removed": "deleted"}]))), "removed"),
        (setup.cloud_event(Some(json!([{"id": id, "@removed": {"reason": "deleted"}}]))), "removed"),
        (other_group, "another group"),
        (lifecycle.to_string(), "lifecycle notification"),
    ] {
        let answer = setup.app.host.deliver(&message, 1).await;
        assert!(answer.is_success() && answer.log().contains(why), "{message}: {}", answer.log());
        assert_eq!(answer.jobs(), [] as [&str; 0], "{message}");
    }
    assert_eq!((setup.mailed(), setup.app.alerts().len()), (vec![], 0));
    assert_eq!(setup.app.sandbox.requests().len(), 0, "Graph is not called");
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_item_does_not_affect_the_others() {
    let setup = GroupSetup::new(2, 2);
    let message = json!([{"id": setup.people[0]}, {"colour": "red"}, {"id": setup.people[1]}]).to_string();
    setup.process(&message).await;
    assert_eq!(setup.sorted_mailed(), [0, 1]);
    let alerts = setup.app.alerts();
    assert_eq!(alerts.len(), 1);
    assert!(!alerts[0].to_string().contains("colour"), "{}", alerts[0]);
}

#[tokio::test(start_paused = true)]
async fn a_missing_on_demand_group_is_alerted() {
    let (app, emma) = TestApp::with_emma();
    for message in [emma.to_string(), json!({"id": emma}).to_string()] {
        let answer = app.host.deliver(&message, 1).await;
        assert!(answer.is_success() && answer.log().contains("ON_DEMAND_GROUP_ID"), "{}", answer.log());
    }
    assert_eq!((app.pass_mails().len(), app.alerts().len()), (0, 1), "the second waits for the summary");
    assert!(app.alerts()[0].to_string().contains("Set ON_DEMAND_GROUP_ID"));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_user_name_ends_with_an_alert() {
    let setup = GroupSetup::new(1, 1);
    let mut ends = Vec::new();
    let job = "nobody@contoso.example".to_owned();
    setup.app.host.work(vec![job], |completed| ends.push(JobEnd::from(&completed))).await;
    assert_eq!((ends[0].outcome.as_str(), ends[0].deliveries), ("failed", 10));
    let alerts = setup.app.alerts();
    assert_eq!(alerts.len(), 1);
    let alert = alerts[0].to_string();
    assert!(alert.contains("nobody@contoso.example") && alert.contains("no such user"), "{alert}");
}
