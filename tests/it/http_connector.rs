//! The connector's definition and the handler agree: every parameter, every answer, field by field, both ways.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use async_trait::async_trait;
use firstpass::{
    ledger::LedgerError,
    settings::{Parameter, ParameterType},
};
use firstpass_sandbox::tenant::{Fault, FaultKind, Person, roles};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    faulty_ledger::{FaultyLedger, LedgerFault, Operation},
    helpers::{PASS, World, refuse, tenant_with_emma, throttle},
    http::{Answer, ask, ask_for, sample, send},
};

/// What only the platform says, or what no test can bring about: there is no broken template in the binary.
const NOT_FROM_HERE: [&str; 2] = ["401", "500"];

fn file(name: &str) -> Value {
    let path = format!("{}/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn definition() -> Value {
    file("infra/connector/apiDefinition.swagger.json")
}

fn operation(definition: &Value) -> &Value {
    &definition["paths"]["/CreateTap"]["post"]
}

/// `schema`, or what it refers to.
fn resolved<'d>(definition: &'d Value, schema: &'d Value) -> &'d Value {
    match schema["$ref"].as_str() {
        Some(reference) => definition.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    }
}

/// What of `value` does not fit `schema`: a type, a form, a field too many or too few. `seen` collects the fields.
fn misfits(schema: &Value, value: &Value, path: &str, seen: &mut BTreeSet<String>) -> Vec<String> {
    seen.insert(path.to_owned());
    if value.is_null() {
        return if schema["x-nullable"] == true { vec![] } else { vec![format!("{path} is null")] };
    }
    let text_fits = |text: &str| match schema["format"].as_str() {
        Some("date-time") => chrono::DateTime::parse_from_rfc3339(text).is_ok(),
        _ => schema["enum"].as_array().is_none_or(|words| words.iter().any(|word| word == text)),
    };
    let fits = match schema["type"].as_str().unwrap_or_default() {
        "string" => value.as_str().is_some_and(text_fits),
        "integer" => value.is_i64(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{path} has the type {other}"),
    };
    let mut misfits_found = if fits { vec![] } else { vec![format!("{path} is {value}")] };
    for item in value.as_array().into_iter().flatten() {
        misfits_found.extend(misfits(&schema["items"], item, &format!("{path}[]"), seen));
    }
    for (name, field) in value.as_object().into_iter().flatten() {
        let inner = format!("{path}.{name}");
        match schema["properties"].get(name) {
            Some(schema) => misfits_found.extend(misfits(schema, field, &inner, seen)),
            None => misfits_found.push(format!("{inner} is not documented")),
        }
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        if value.get(name.as_str().unwrap()).is_none() {
            misfits_found.push(format!("{path}.{name} is missing"));
        }
    }
    misfits_found
}

/// All fields that `schema` documents.
fn documented(schema: &Value, path: &str, fields: &mut BTreeSet<String>) {
    fields.insert(path.to_owned());
    if schema.get("items").is_some() {
        documented(&schema["items"], &format!("{path}[]"), fields);
    }
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        documented(schema, &format!("{path}.{name}"), fields);
    }
}

#[test]
fn it_leads_to_the_function_with_its_key() {
    let definition = definition();
    assert_eq!((&definition["swagger"], &definition["schemes"]), (&json!("2.0"), &json!(["https"])));
    let prefix = &file("host.json")["extensions"]["http"]["routePrefix"];
    assert_eq!(definition["basePath"], format!("/{}", prefix.as_str().unwrap()));
    let function = file("CreateTap/function.json");
    assert_eq!(
        (&function["bindings"][0]["methods"], &function["bindings"][0]["route"]),
        (&json!(["post"]), &Value::Null)
    );
    let key = &definition["securityDefinitions"]["function_key"];
    assert_eq!(
        (&key["type"], &key["name"], &key["in"]),
        (&json!("apiKey"), &json!("x-functions-key"), &json!("header"))
    );
    assert_eq!(definition["security"], json!([{"function_key": []}]));
    let properties = file("infra/connector/apiProperties.json");
    assert_eq!(properties["properties"]["connectionParameters"]["api_key"]["type"], "securestring");
}

#[tokio::test(start_paused = true)]
async fn it_offers_the_parameters_that_the_handler_takes() {
    let definition = definition();
    let order = &definition["definitions"]["Order"];
    let offered = order["properties"].as_object().unwrap();
    let names: BTreeSet<&str> = Parameter::all().map(Parameter::name).collect();
    assert_eq!(offered.keys().map(String::as_str).collect::<BTreeSet<_>>(), names);
    assert_eq!(order["required"], json!(["UserName"]));
    let all_open = Parameter::all().map(Parameter::name).collect::<Vec<_>>().join(",");
    let open = || World::new(tenant_with_emma().0, &[("CREATE_TAP_OPEN_PARAMETERS", &all_open)]);
    let with = async |parameter: Parameter, value: Value| {
        let mut body = json!({"UserName": sample(Parameter::UserName)});
        body[parameter.name()] = value;
        ask(&open(), body).await
    };
    for parameter in Parameter::all() {
        let schema = &offered[parameter.name()];
        let kind = match parameter.kind() {
            ParameterType::Text => "string",
            ParameterType::Number => "integer",
            ParameterType::Boolean => "boolean",
        };
        assert_eq!(schema["type"], kind, "{parameter:?}");
        for hint in ["x-ms-summary", "description", "x-ms-visibility"] {
            assert!(
                schema[hint].as_str().is_some_and(|text| !text.is_empty()),
                "{parameter:?} has no {hint}"
            );
        }
        // What is closed out of the box is not the first thing that a maker of flows sees.
        assert_eq!(schema["x-ms-visibility"] == "advanced", !parameter.is_open_by_default(), "{parameter:?}");
        assert_eq!(misfits(schema, &sample(parameter), "", &mut BTreeSet::new()), Vec::<String>::new());
        assert_eq!(with(parameter, sample(parameter)).await.status, 201, "{parameter:?}");
        for word in schema["enum"].as_array().into_iter().flatten() {
            assert_eq!(with(parameter, word.clone()).await.status, 201, "{parameter:?} {word}");
        }
        if let Some(longest) = schema["maxLength"].as_u64() {
            let too_long = "x".repeat(longest as usize + 1);
            assert!(
                with(parameter, json!(too_long)).await.detail().contains("is longer than 200"),
                "{parameter:?}"
            );
        }
    }
    let lifetime = &offered["LifetimeInMinutes"];
    let outside = "is not a whole number of minutes from 10 to 43200";
    for (minutes, is_outside) in [
        (lifetime["minimum"].as_i64().unwrap(), false),
        (lifetime["minimum"].as_i64().unwrap() - 1, true),
        (lifetime["maximum"].as_i64().unwrap(), false),
        (lifetime["maximum"].as_i64().unwrap() + 1, true),
    ] {
        let answer = with(Parameter::LifetimeInMinutes, json!(minutes)).await;
        assert_eq!(answer.detail().contains(outside), is_outside, "{minutes} {answer:?}");
    }
    let key = &operation(&definition)["parameters"][0];
    assert_eq!(
        (&key["name"], &key["in"], &key["required"]),
        (&json!("Idempotency-Key"), &json!("header"), &json!(false))
    );
    let longest = key["maxLength"].as_u64().unwrap() as usize;
    let body = json!({"UserName": sample(Parameter::UserName)}).to_string();
    for (length, status) in [(longest, 201), (longest + 1, 400)] {
        let key = "k".repeat(length);
        assert_eq!(send(&open(), &body, &[("Idempotency-Key", &key)]).await.status, status);
    }
}

/// A ledger is away.
#[derive(Debug)]
struct Away;

#[async_trait]
impl LedgerFault for Away {
    async fn before(&self, _: Operation) -> Result<(), LedgerError> {
        Err(LedgerError::Unavailable("away".into()))
    }
}

/// Answers of the handler, of every kind.
pub async fn recorded() -> Vec<Answer> {
    let mut answers = Vec::new();
    let (world, emma) = World::with_emma();
    for asked in [
        json!({}),
        json!({"NotifyUser": true, "Colour": "red"}),
        json!({"Deliver": "mail", "StartDateTime": "2026-11-23T00:00:00Z"}),
    ] {
        answers.push(ask_for(&world, emma, asked).await);
    }
    world.sandbox.inject(Fault::on("POST", "sendMail", refuse(403)));
    answers.push(ask_for(&world, emma, json!({"NotifyUser": true})).await);
    answers.push(ask(&world, json!({"LifetimeInMinutes": 9})).await);
    answers.push(ask_for(&world, emma, json!({"LifetimeInMinutes": 59})).await);
    answers.push(ask_for(&world, Uuid::from_u128(1), json!({})).await);

    let (mut tenant, emma) = tenant_with_emma();
    let admin = tenant.add(Person::named("Ada Min"));
    tenant.assign_role(admin, roles::GLOBAL_ADMINISTRATOR);
    let world = World::new(tenant, &[("CREATE_TAP_LIMIT_PER_USER", "1")]);
    answers.push(ask_for(&world, admin, json!({})).await);
    let body = json!({"UserName": emma}).to_string();
    let key = [("Idempotency-Key", "k")];
    world.sandbox.inject(Fault::on("POST", PASS, FaultKind::DelayAfter(Duration::from_secs(9))));
    let (made, busy) = tokio::join!(send(&world, &body, &key), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        send(&world, &body, &[]).await
    });
    answers.extend([made, busy]);
    answers.push(send(&world, &body, &key).await);
    answers.push(send(&world, &json!({"UserName": emma, "Reason": "other"}).to_string(), &key).await);
    answers.push(send(&world, &body, &[]).await);

    for kind in [refuse(400), refuse(403), throttle("3"), FaultKind::LoseAnswer] {
        let (world, emma) = World::with_emma();
        world.sandbox.inject(Fault::on("POST", PASS, kind).times(9));
        answers.push(ask_for(&world, emma, json!({})).await);
    }
    let (tenant, emma) = tenant_with_emma();
    answers.push(ask_for(&World::on(tenant, &[], FaultyLedger::by(Away)), emma, json!({})).await);
    answers
}

#[tokio::test(start_paused = true)]
async fn it_documents_the_answers_that_the_handler_gives_and_no_others() {
    let definition = definition();
    let responses = operation(&definition)["responses"].as_object().unwrap();
    let (mut statuses, mut seen): (BTreeSet<String>, BTreeMap<String, BTreeSet<String>>) = Default::default();
    for answer in recorded().await {
        let status = answer.status.to_string();
        let response =
            responses.get(&status).unwrap_or_else(|| panic!("{status} is not documented: {answer:?}"));
        let reference = response["schema"]["$ref"].as_str().unwrap().to_owned();
        let schema = resolved(&definition, &response["schema"]);
        let found = misfits(schema, &answer.body, "", seen.entry(reference).or_default());
        assert_eq!(found, Vec::<String>::new(), "{answer:?}");
        let waits = answer.headers.get("retry-after").is_some();
        assert!(
            !waits || response["headers"].get("Retry-After").is_some(),
            "{status} may say when to come back"
        );
        statuses.insert(status);
    }
    let documented_statuses: BTreeSet<String> =
        responses.keys().filter(|status| !NOT_FROM_HERE.contains(&status.as_str())).cloned().collect();
    assert_eq!(statuses, documented_statuses, "each of them was brought about");
    for (reference, seen) in seen {
        let mut fields = BTreeSet::new();
        documented(resolved(&definition, &json!({"$ref": reference.as_str()})), "", &mut fields);
        assert_eq!(seen, fields, "{reference}: each field was there once at least");
    }
}

#[test]
fn everything_in_it_has_a_name_for_people() {
    fn check(schema: &Value, path: &str) {
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            for hint in ["x-ms-summary", "description"] {
                assert!(field[hint].as_str().is_some_and(|text| !text.is_empty()), "{path} has no {hint}");
            }
            check(field, &path);
            check(&field["items"], &path);
        }
    }
    let definition = definition();
    for (name, schema) in definition["definitions"].as_object().unwrap() {
        check(schema, name);
    }
    for (status, response) in operation(&definition)["responses"].as_object().unwrap() {
        assert!(response["description"].as_str().is_some_and(|text| text.ends_with('.')), "{status}");
    }
    assert_eq!(definition["definitions"]["Made"]["properties"]["temporaryAccessPass"]["format"], "password");
}
