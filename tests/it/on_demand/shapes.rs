//! Every form in which a message may come.

use super::*;

#[tokio::test(start_paused = true)]
async fn one_person_in_any_form_gets_a_pass_at_once() {
    for form in 0..9 {
        let office = Office::of(3, 2);
        let (id, now) = (office.people[0], office.world.sandbox.now());
        let added = || json!([{"id": id}]);
        let message = match form {
            0 => id.to_string(),
            1 => json!(id.to_string().to_uppercase()).to_string(),
            2 => "Person.N0@Contoso.Example\n".to_owned(),
            3 => json!({"id": id}).to_string(),
            4 => json!([{"id": id, "@odata.type": "#microsoft.graph.user"}]).to_string(),
            5 => office.webhook(Some(added())),
            6 => office.cloud_event(Some(added())),
            7 => json!([{"id": id}, {"id": office.people[1], "@removed": {"reason": "deleted"}}]).to_string(),
            _ => json!({"jobKey": "group-add/7", "reason": "group-add", "userId": id, "since": now})
                .to_string(),
        };
        let course = office.tell(&message).await;
        assert_eq!((course.outcomes, office.mailed()), (vec!["delivered".to_owned()], vec![0]), "{message}");
        office.world.assert_newest_mail_opens(id);
        assert_eq!(office.world.sandbox.passes()[0].opens_at, office.world.sandbox.now());
        assert_eq!(office.world.alerts(), [] as [Value; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn several_people_in_one_message_become_a_job_each() {
    for form in 0..6 {
        let office = Office::of(5, 4);
        let [a, b, c, d] = [0, 1, 2, 3].map(|person| office.people[person]);
        let removed = |how: Value| json!([{"id": a}, {"id": d, "@removed": how}, {"id": b}, {"id": c}]);
        let message = match form {
            0 => office.webhook(Some(removed(json!("deleted")))),
            1 => office.cloud_event(Some(removed(json!({"reason": "deleted"})))),
            2 => removed(json!({"reason": "deleted"})).to_string(),
            3 => json!({"value": removed(json!("deleted"))}).to_string(),
            4 => json!([a, b, "person.n2@contoso.example"]).to_string(),
            _ => {
                let part = |user| office.notification(Some(json!([{"id": user}])));
                json!({"value": [part(a), part(b), part(c), part(a)]}).to_string()
            }
        };
        let answer = office.world.host.deliver(&message, 1).await;
        assert_eq!((office.mailed(), answer.jobs().len()), (vec![], 3), "{message}: each is tried by itself");
        assert!(
            answer.jobs().iter().all(|job| !job.contains("\"id\"")),
            "the host would take it for its own"
        );
        let mut course = Course::default();
        office.work(answer.jobs(), &mut course).await;
        assert_eq!(
            (course.outcomes, office.sorted_mailed()),
            (vec!["delivered".to_owned(); 3], vec![0, 1, 2]),
            "{message}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn one_failing_job_of_several_is_tried_again_alone() {
    use firstpass_sandbox::tenant::Fault;
    let office = Office::of(3, 3);
    let fault = Fault::on("POST", "sendMail", crate::helpers::refuse(400));
    office.world.sandbox.inject(Fault { body_contains: "n1@mail.example".into(), ..fault });
    let items: Vec<Value> = office.people.iter().map(|id| json!({"id": id})).collect();
    office.tell(&Value::from(items).to_string()).await;
    assert_eq!(office.sorted_mailed(), [0, 1, 2], "nobody twice");
    assert_eq!(office.mailed()[2], 1, "after three minutes");
}

#[tokio::test(start_paused = true)]
async fn removals_and_other_groups_are_passed_over_in_peace() {
    let office = Office::of(2, 2);
    let id = office.people[0];
    let elsewhere =
        office.cloud_event(Some(json!([{"id": id}]))).replace(&office.group.to_string(), &id.to_string());
    let lifecycle = json!({"value": [{"lifecycleEvent": "reauthorizationRequired", "subscriptionId": id}]});
    for (message, why) in [
        (json!({"id": id, "@removed": {"reason": "deleted"}}).to_string(), "removed"),
        (office.webhook(Some(json!([{"id": id, "@removed": "deleted"}]))), "removed"),
        (office.cloud_event(Some(json!([{"id": id, "@removed": {"reason": "deleted"}}]))), "removed"),
        (elsewhere, "another group"),
        (lifecycle.to_string(), "lifecycle notification"),
    ] {
        let answer = office.world.host.deliver(&message, 1).await;
        assert!(answer.is_success() && answer.log().contains(why), "{message}: {}", answer.log());
        assert_eq!(answer.jobs(), [] as [&str; 0], "{message}");
    }
    assert_eq!((office.mailed(), office.world.alerts().len()), (vec![], 0));
    assert_eq!(office.world.sandbox.requests().len(), 0, "nobody was asked");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_understood_costs_nobody_else_their_pass() {
    let office = Office::of(2, 2);
    let message = json!([{"id": office.people[0]}, {"colour": "red"}, {"id": office.people[1]}]).to_string();
    office.tell(&message).await;
    assert_eq!(office.sorted_mailed(), [0, 1]);
    let alerts = office.world.alerts();
    assert_eq!(alerts.len(), 1);
    assert!(!alerts[0].to_string().contains("colour"), "{}", alerts[0]);
}

#[tokio::test(start_paused = true)]
async fn without_an_on_demand_group_a_person_hears_that_there_is_none() {
    let (world, emma) = World::with_emma();
    for message in [emma.to_string(), json!({"id": emma}).to_string()] {
        let answer = world.host.deliver(&message, 1).await;
        assert!(answer.is_success() && answer.log().contains("ON_DEMAND_GROUP_ID"), "{}", answer.log());
    }
    assert_eq!((world.pass_mails().len(), world.alerts().len()), (0, 2));
    assert!(world.alerts()[0].to_string().contains("Set ON_DEMAND_GROUP_ID"));
}

#[tokio::test(start_paused = true)]
async fn a_name_that_nobody_has_is_given_up_with_an_alert() {
    let office = Office::of(1, 1);
    let mut ends = Vec::new();
    let job = "nobody@contoso.example".to_owned();
    office.world.host.work(vec![job], |completed| ends.push(End::from(&completed))).await;
    assert_eq!((ends[0].outcome.as_str(), ends[0].deliveries), ("failed", 5));
    let alerts = office.world.alerts();
    assert_eq!(alerts.len(), 1);
    let told = alerts[0].to_string();
    assert!(told.contains("nobody@contoso.example") && told.contains("no such user"), "{told}");
}
