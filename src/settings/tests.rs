use super::*;

/// Valid settings in Azure.
fn valid() -> Vec<(&'static str, &'static str)> {
    vec![
        ("MAIL_FROM", "welcome@contoso.com"),
        ("LEDGER_URL", "https://mystorage.blob.core.windows.net/ledger"),
    ]
}

fn read(changes: &[(&'static str, &'static str)]) -> Result<Settings, SettingsError> {
    let mut env = valid();
    env.extend(changes);
    Settings::read(&env.into_iter().collect())
}

#[test]
fn the_required_two_are_enough() {
    let settings = read(&[]).unwrap();
    assert_eq!(settings.joiners, JoinerSource::HireDate);
    assert_eq!(
        (settings.lead_days, settings.pass.start, settings.pass.time_zone),
        (7, PassStart::DayOne, Tz::UTC)
    );
    assert_eq!((settings.mail.to, settings.mail.cc), (vec![MailTo::OtherMails], vec![MailCc::Manager]));
    assert!(!settings.mail.cc_code);
    assert_eq!((settings.pass.one_time, settings.pass.serve_disabled), (None, true));
}

#[test]
fn a_ledger_is_in_a_storage_account_of_the_cloud_or_on_this_machine_with_a_sas() {
    let with = |url| read(&[("LEDGER_URL", url)]).map_err(|report| report.to_string());
    assert!(with("http://127.0.0.1:10000/account/ledger?sv=1&sig=SECRET").is_ok());
    for (url, what) in [
        ("http://127.0.0.1:10000/account/ledger", "needs a SAS"),
        ("http://mystorage.blob.core.windows.net/ledger?sig=SECRET", "must start with https://"),
        ("https://mystorage.blob.core.windows.net/?sig=SECRET", "names no container"),
        ("https://SECRET@mystorage.blob.core.windows.net/ledger", "a user name or a password"),
        ("https://u:SECRET@127.0.0.1/ledger?sig=SECRET", "a user name or a password"),
        ("https://storage.evil.example/ledger", "no blob service of a storage account"),
        ("https://mystorage.queue.core.windows.net/ledger", "no blob service of a storage account"),
        ("https://mystorage.blob.core.windows.net.evil.example/ledger?sig=SECRET", "no blob service"),
        ("https://mystorage.blob.core.usgovcloudapi.net/ledger", "CLOUD means core.windows.net"),
        ("ftp://127.0.0.1/ledger?sig=SECRET", "must start with https://"),
    ] {
        let error = with(url).unwrap_err();
        assert!(error.contains(what) && !error.contains("SECRET"), "{error}");
    }
    let printed =
        format!("{:?}", with("https://mystorage.blob.core.windows.net/ledger?sv=1&sig=SECRET").unwrap());
    assert!(printed.contains("mystorage") && !printed.contains("SECRET"), "{printed}");
}

#[test]
fn every_problem_is_in_one_report_with_its_example() {
    let bad = [
        ("CLOUD", "china"),
        ("SERVE_GUESTS", "all"),
        ("ZONES", "Perth"),
        ("LATE_DAYS", "61"),
        ("SWEEP_SCHEDULE", "daily"),
        ("MAIL_FROM", "welcome"),
        ("ALERT_TO", "a@b.com, c, d"),
        ("DIGEST", "monthly"),
        ("LEDGER_URL", "http://mystorage.blob.core.windows.net/ledger?sig=SECRET"),
        ("AZURE_CLIENT_ID", "me"),
        ("JOINER_GROUP_ID", "joiners"),
        ("ON_DEMAND_GROUP_ID", "on demand"),
        ("EVENT_GRID_PARTNER_TOPIC", "EventGrid:?location=westeurope"),
        ("LEAD_DAYS", "31"),
        ("PASS_START", "monday"),
        ("DAY_ONE_TIME", "7am"),
        ("TIME_ZONE", "Berlin"),
        ("HIRE_DATE_ZONE", "HR"),
        ("PASS_LIFETIME_MINUTES", "9"),
        ("PASS_ONE_TIME", "maybe"),
        ("SERVE_DISABLED", "2"),
        ("LANGUAGE", "tlh"),
        ("COMPANY_NAME", "two\nlines"),
        ("MAIL_TO", " , ;"),
        ("MAIL_CC", "extensionAttribute1"),
        ("TENANT_DOMAINS", "@contoso.com"),
        ("SERVICE_DESK_EMAIL", "desk"),
        ("SERVICE_DESK_PORTAL_URL", "javascript:alert(1)"),
        ("CREATE_TAP_OPEN_PARAMETERS", "Reason, Password"),
        ("CREATE_TAP_DEFAULT_LIFETIME_MINUTES", "5"),
        ("CREATE_TAP_DEFAULT_ONE_TIME_USE_ONLY", "once"),
        ("CREATE_TAP_DEFAULT_NOTIFY_USER", "perhaps"),
        ("CREATE_TAP_DEFAULT_DELIVER", "pigeon"),
        ("CREATE_TAP_ALLOWED_GROUP_ID", "helpdesk"),
        ("CREATE_TAP_ALLOWED_CALLERS", "the portal"),
        ("CREATE_TAP_LIMIT_PER_USER", "0"),
        ("CREATE_TAP_LIMIT_PER_CALLER", "many"),
    ];
    let report = read(&bad).unwrap_err();
    let named: Vec<&str> = report.0.iter().map(|problem| problem.name).collect();
    for (name, _) in bad {
        assert!(named.contains(&name), "{name} is not in {named:?}");
    }
    assert_eq!(named.len(), bad.len() + 1, "ALERT_TO has two");
    assert!(report.0.iter().all(|problem| !problem.example.is_empty()));
    assert!(!report.to_string().contains("SECRET"), "a SAS must not be repeated");
    assert!(!report.to_string().contains('\n'), "one line");
}

#[test]
fn nothing_set_names_what_must_be() {
    let report = Settings::read(&Environment::default()).unwrap_err();
    assert_eq!(report.0.iter().map(|p| p.name).collect::<Vec<_>>(), ["MAIL_FROM", "LEDGER_URL"]);
    assert!(report.to_string().starts_with("2 settings need attention: MAIL_FROM is missing (example: "));
}

#[test]
fn a_partner_topic_is_for_the_on_demand_group() {
    let topic = ("EVENT_GRID_PARTNER_TOPIC", partner_topic::EXAMPLE);
    let report = read(&[topic]).unwrap_err().to_string();
    assert!(
        report.starts_with("1 setting needs attention: ON_DEMAND_GROUP_ID is missing: EVENT_GRID"),
        "{report}"
    );
    let settings = read(&[topic, ("ON_DEMAND_GROUP_ID", reader::GUID_EXAMPLE)]).unwrap();
    assert_eq!(
        settings.partner_topic.map(|topic| topic.to_string()).as_deref(),
        Some(partner_topic::EXAMPLE)
    );
}

#[test]
fn empty_is_not_set() {
    assert_eq!(read(&[("LEAD_DAYS", " "), ("COMPANY_NAME", "")]).unwrap().lead_days, 7);
}

#[test]
fn the_app_acts_unless_it_only_reports_or_is_paused() {
    let plain = [
        ("MAIL_FROM", "welcome@contoso.com"),
        ("LEDGER_URL", "https://mystorage.blob.core.windows.net/ledger"),
    ];
    let mode = |more: &[(&'static str, &'static str)]| read(&[&plain[..], more].concat()).unwrap().mode;
    assert_eq!(mode(&[]), Mode::Live);
    assert_eq!(mode(&[("REPORT_ONLY", "false"), ("PAUSED", "False")]), Mode::Live);
    assert_eq!(mode(&[("REPORT_ONLY", "true")]), Mode::ReportOnly);
    assert_eq!(mode(&[("PAUSED", "true")]), Mode::Paused);
    assert_eq!(mode(&[("REPORT_ONLY", "true"), ("PAUSED", "true")]), Mode::Paused);
    let unclear = read(&[("REPORT_ONLY", "yes please"), ("PAUSED", "2")]).unwrap_err();
    assert_eq!(unclear.0.iter().map(|problem| problem.name).collect::<Vec<_>>(), ["REPORT_ONLY", "PAUSED"]);
    let env = Environment::from_iter([("REPORTONLY", "true"), ("PAUSE", "true"), ("REPORT_ONLY", "true")]);
    let mut unknown = Settings::unknown_names(&env);
    unknown.sort_unstable();
    assert_eq!(unknown, ["PAUSE", "REPORTONLY"]);
}

#[test]
fn a_misspelt_setting_is_noticed() {
    let env =
        Environment::from_iter([("PASS_LIFETIME", "60"), ("PATH", "/bin"), ("SERVICE_DESK_NAME", "IT")]);
    assert_eq!(Settings::unknown_names(&env), ["PASS_LIFETIME"]);
}

/// The host may accept a form that firstpass does not know: that must not stop passes.
#[test]
fn a_storage_account_in_an_unknown_form_stops_nothing() {
    let plain = [
        ("MAIL_FROM", "welcome@contoso.com"),
        ("LEDGER_URL", "https://mystorage.blob.core.windows.net/ledger"),
    ];
    let with = |value| read(&[&plain[..], &[("AzureWebJobsStorage", value)]].concat()).unwrap();
    assert!(with("AccountName=mine;AccountKey=c2VjcmV0").queues.is_some());
    assert!(with("AccountName=mine;AccountKey=SECRET").queues.is_none());
}
