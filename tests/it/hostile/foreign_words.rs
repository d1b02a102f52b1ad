//! Exchange and Graph quote what they refuse: private addresses and codes, in any form.

use firstpass_sandbox::tenant::{Fault, FaultKind, Group};
use serde_json::{Value, json};

use crate::helpers::{PASS_PATH, TestApp, html_escaped, log_capture::capture_log, tenant_with_emma};

const ADDRESS: &str = "emma.brooks@mail.example";

/// The forms in which a text can be quoted.
const FORMS: [fn(&str) -> String; 8] = [
    str::to_owned,
    str::to_uppercase,
    |text| text.bytes().map(|b| format!("%{b:02X}")).collect(),
    |text| text.replace('@', "%40"),
    |text| text.chars().map(|c| format!("&#{};", u32::from(c))).collect(),
    |text| text.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect(),
    |text| Value::from(html_escaped(text)).to_string(),
    |text| html_escaped(text).bytes().map(|b| format!("={b:02X}")).collect(),
];

/// Which mail or request is refused, and how it is caused.
#[derive(Clone, Copy, Debug)]
enum Way {
    Job,
    /// With an alert.
    LastTry,
    CallByMail,
    Notice,
    MakingThePass,
}

fn app() -> (TestApp, uuid::Uuid) {
    let (tenant, emma) = tenant_with_emma();
    (TestApp::new(tenant, &[("CREATE_TAP_OPEN", "true")]), emma)
}

async fn run(app: &TestApp, emma: uuid::Uuid, way: Way) -> String {
    let call = |extra: &[(&str, Value)]| {
        let mut body = json!({"UserName": emma});
        extra.iter().for_each(|(name, value)| body[*name] = value.clone());
        body.to_string()
    };
    match way {
        Way::Job => app.host.deliver(&app.job(emma).to_message(), 1).await.body.to_string(),
        Way::LastTry => app.host.deliver(&app.job(emma).to_message(), 5).await.body.to_string(),
        Way::CallByMail => {
            app.host.call("CreateTap", &call(&[("Deliver", "mail".into())])).await.body.to_string()
        }
        Way::Notice | Way::MakingThePass => {
            app.host.call("CreateTap", &call(&[("NotifyUser", true.into())])).await.body.to_string()
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_exchange_quotes_is_masked_everywhere() {
    for way in [Way::Job, Way::LastTry, Way::CallByMail, Way::Notice, Way::MakingThePass] {
        let (before, emma) = app();
        run(&before, emma, way).await;
        let code = before.sandbox.codes()[0].clone();
        for (at, form) in FORMS.iter().enumerate() {
            // A tenant with the same seed issues the same code.
            let (app, emma) = app();
            let quoted = format!("Refused: <{}> and [{}].", form(ADDRESS), form(&code));
            let kind =
                FaultKind::Fail { status: 400, code: format!("Error{ADDRESS}"), message: quoted.clone() };
            let path = if matches!(way, Way::MakingThePass) { PASS_PATH } else { "sendMail" };
            app.sandbox.inject(Fault::on("POST", path, kind));
            let (mut printed, log) = capture_log("info", run(&app, emma, way)).await;
            printed += &log;
            printed.extend(app.alerts().iter().map(Value::to_string));
            let record = app.record(emma).await;
            assert!(
                record.iter().all(|record| record.announcement.is_none()),
                "the address may be in it, as such"
            );
            printed += &json!(record).to_string();
            assert!(printed.contains("Refused: "), "{way:?}: the words of Exchange are shown: {printed}");
            let shown = printed.replace("\\\\", "\\").to_lowercase();
            assert!(!shown.contains(&form(ADDRESS).to_lowercase()), "{way:?}: {quoted}: {printed}");
            // Graph knows no code before the pass is made, and a notice has none; in capitals it is another.
            if !matches!(way, Way::Notice | Way::MakingThePass) && at != 1 {
                assert!(!shown.contains(&form(&code).to_lowercase()), "{way:?}: {quoted}: {printed}");
            }
        }
    }
}

/// A private address in place of a sign-in name is in no output.
#[tokio::test(start_paused = true)]
async fn a_private_address_that_names_nobody_is_masked() {
    let (mut tenant, emma) = tenant_with_emma();
    let group = tenant.add_group(Group::named("On-demand access").members([emma])).to_string();
    let app = TestApp::new(tenant, &[("CREATE_TAP_OPEN", "true"), ("ON_DEMAND_GROUP_ID", &group)]);
    let stranger = "nobody@contoso.example";
    let work = async {
        let mut printed = String::new();
        for name in [ADDRESS, stranger] {
            printed += &app.create_tap(name).await.1.to_string();
            for delivery in [1, 5] {
                printed += &app.host.deliver(&json!(name).to_string(), delivery).await.body.to_string();
            }
        }
        printed
    };
    let (mut printed, log) = capture_log("info", work).await;
    printed += &log;
    printed.extend(app.alerts().iter().map(Value::to_string));
    assert!(!printed.contains("emma.brooks@mail"), "{printed}");
    assert!(printed.contains("e…@mail.example") && printed.contains(stranger), "{printed}");
}
