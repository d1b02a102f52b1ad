//! The connector's definition and the handler agree on every parameter and every field of an answer.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use firstpass::settings::{Parameter, ParameterType};
use firstpass_sandbox::tenant::{Fault, FaultKind, Person, roles};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{HandlerResponse, call, call_for, sample, send};
use crate::{
    helpers::{PASS_PATH, TestApp, fail_with, tenant_with_emma, throttle},
    ledger::faulty_ledger::{FaultyLedger, Unavailable},
};

/// Statuses of the platform, or of errors that a test cannot cause.
const NOT_TESTED: [&str; 2] = ["401", "500"];

fn file(name: &str) -> Value {
    let path = format!("{}/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn definition() -> Value {
    file("infra/connector/apiDefinition.swagger.json")
}

fn operation(definition: &Value) -> &Value {
    &definition["paths"]["/api/CreateTap"]["post"]
}

/// `schema`, or the schema that it refers to.
fn resolved<'d>(definition: &'d Value, schema: &'d Value) -> &'d Value {
    match schema["$ref"].as_str() {
        Some(reference) => definition.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    }
}

/// The problems of `value` against `schema`: types, formats, unknown and missing fields. `seen` collects the fields.
fn problems(schema: &Value, value: &Value, path: &str, seen: &mut BTreeSet<String>) -> Vec<String> {
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
    let mut found = if fits { vec![] } else { vec![format!("{path} is {value}")] };
    for item in value.as_array().into_iter().flatten() {
        found.extend(problems(&schema["items"], item, &format!("{path}[]"), seen));
    }
    for (name, field) in value.as_object().into_iter().flatten() {
        let inner = format!("{path}.{name}");
        match schema["properties"].get(name) {
            Some(schema) => found.extend(problems(schema, field, &inner, seen)),
            None => found.push(format!("{inner} is not documented")),
        }
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        if value.get(name.as_str().unwrap()).is_none() {
            found.push(format!("{path}.{name} is missing"));
        }
    }
    found
}

/// Adds all fields that `schema` documents to `fields`.
fn documented_fields(schema: &Value, path: &str, fields: &mut BTreeSet<String>) {
    fields.insert(path.to_owned());
    if schema.get("items").is_some() {
        documented_fields(&schema["items"], &format!("{path}[]"), fields);
    }
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        documented_fields(schema, &format!("{path}.{name}"), fields);
    }
}

#[test]
fn the_definition_addresses_the_function_with_its_key() {
    let definition = definition();
    assert_eq!((&definition["swagger"], &definition["schemes"]), (&json!("2.0"), &json!(["https"])));
    let prefix = &file("host.json")["extensions"]["http"]["routePrefix"];
    // The connection's host takes the place of host and basePath, so the whole path is in the operation.
    let paths: Vec<&String> = definition["paths"].as_object().unwrap().keys().collect();
    assert_eq!(definition["basePath"], "/");
    assert_eq!(paths, [&format!("/{}/CreateTap", prefix.as_str().unwrap())]);
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
    let metadata: Vec<&Value> = definition["x-ms-connector-metadata"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| &m["propertyName"])
        .collect();
    assert_eq!(metadata, ["Website", "Privacy policy", "Categories"]);
}

#[test]
fn a_connection_has_its_own_host_and_key_and_can_sign_in() {
    let properties = &file("infra/connector/apiProperties.json")["properties"];
    let sets = properties["connectionParameterSets"]["values"].as_array().unwrap();
    // CreateTap needs a key beside the token: its authLevel is `function` in every installation.
    let (with_key, with_entra) = (vec!["api_key", "host"], vec!["api_key", "host", "token"]);
    for (set, (name, expected)) in sets.iter().zip([("key", with_key), ("entra", with_entra)]) {
        let parameters = set["parameters"].as_object().unwrap();
        let mut names: Vec<&str> = parameters.keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!((set["name"].as_str(), names), (Some(name), expected));
        for (name, parameter) in parameters {
            let field = &parameter["uiDefinition"];
            assert_eq!(field["constraints"]["required"], "true", "{field}");
            let hints = ["displayName", "description", "tooltip"];
            assert!(hints.iter().all(|hint| field[*hint].is_string()), "{field}");
            assert_eq!(parameter["type"] == "securestring", name == "api_key", "{field}");
        }
    }
    assert_eq!(sets.len(), 2);
    let sign_in = &sets[1]["parameters"]["token"]["oAuthSettings"];
    assert_eq!(
        (&sign_in["identityProvider"], &sign_in["redirectMode"]),
        (&json!("aad"), &json!("GlobalPerConnector"))
    );
    // App Service authentication accepts this tenant only. What an admin fills in is in the page.
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/CREATE-TAP.md")).unwrap();
    let custom = &sign_in["customParameters"];
    for value in [&sign_in["clientId"], &custom["tenantId"]["value"], &custom["resourceUri"]["value"]] {
        let value = value.as_str().unwrap();
        assert!(value.contains('<') && page.contains(&format!("`{value}`")), "{value}");
    }
    let policies = properties["policyTemplateInstances"].as_array().unwrap();
    let parameter = |policy: usize, name: &str| {
        &policies[policy]["parameters"][format!("x-ms-apimTemplateParameter.{name}")]
    };
    assert_eq!(policies[0]["templateId"], "dynamichosturl");
    assert_eq!(parameter(0, "urlTemplate"), "https://@connectionParameters('host')");
    assert_eq!(policies[1]["templateId"], "setheader");
    assert_eq!(parameter(1, "name"), &definition()["securityDefinitions"]["function_key"]["name"]);
    assert_eq!(parameter(1, "value"), "@connectionParameters('api_key')");
    let color = properties["iconBrandColor"].as_str().unwrap();
    assert!(color.len() == 7 && u32::from_str_radix(&color[1..], 16).is_ok(), "{color}");
}

#[tokio::test(start_paused = true)]
async fn the_definition_has_the_parameters_of_the_handler() {
    let definition = definition();
    let order = &definition["definitions"]["Order"];
    let offered = order["properties"].as_object().unwrap();
    let names: BTreeSet<&str> = Parameter::all().map(Parameter::name).collect();
    assert_eq!(offered.keys().map(String::as_str).collect::<BTreeSet<_>>(), names);
    assert_eq!(order["required"], json!(["UserName"]));
    let all_open = Parameter::all().map(Parameter::name).collect::<Vec<_>>().join(",");
    let open = || TestApp::new(tenant_with_emma().0, &[("CREATE_TAP_OPEN_PARAMETERS", &all_open)]);
    let with = async |parameter: Parameter, value: Value| {
        let mut body = json!({"UserName": sample(Parameter::UserName)});
        body[parameter.name()] = value;
        call(&open(), body).await
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
        // Parameters that are closed by default are shown as advanced.
        assert_eq!(schema["x-ms-visibility"] == "advanced", !parameter.is_open_by_default(), "{parameter:?}");
        assert_eq!(problems(schema, &sample(parameter), "", &mut BTreeSet::new()), Vec::<String>::new());
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
    let out_of_range = "is not a whole number of minutes from 10 to 43200";
    for (minutes, is_out_of_range) in [
        (lifetime["minimum"].as_i64().unwrap(), false),
        (lifetime["minimum"].as_i64().unwrap() - 1, true),
        (lifetime["maximum"].as_i64().unwrap(), false),
        (lifetime["maximum"].as_i64().unwrap() + 1, true),
    ] {
        let answer = with(Parameter::LifetimeInMinutes, json!(minutes)).await;
        assert_eq!(answer.detail().contains(out_of_range), is_out_of_range, "{minutes} {answer:?}");
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

/// One answer of the handler for each outcome.
pub async fn sample_answers() -> Vec<HandlerResponse> {
    let mut answers = Vec::new();
    let (app, emma) = TestApp::with_emma();
    for parameters in [
        json!({}),
        json!({"NotifyUser": true, "Colour": "red"}),
        json!({"Deliver": "mail", "StartDateTime": "2026-11-23T00:00:00Z"}),
    ] {
        answers.push(call_for(&app, emma, parameters).await);
    }
    app.sandbox.inject(Fault::on("POST", "sendMail", fail_with(403)));
    answers.push(call_for(&app, emma, json!({"NotifyUser": true})).await);
    answers.push(call(&app, json!({"LifetimeInMinutes": 9})).await);
    answers.push(call_for(&app, emma, json!({"LifetimeInMinutes": 59})).await);
    answers.push(call_for(&app, Uuid::from_u128(1), json!({})).await);

    let (mut tenant, emma) = tenant_with_emma();
    let admin = tenant.add(Person::named("Ada Min"));
    tenant.assign_role(admin, roles::GLOBAL_ADMINISTRATOR);
    let app = TestApp::new(tenant, &[("CREATE_TAP_LIMIT_PER_USER", "1")]);
    answers.push(call_for(&app, admin, json!({})).await);
    let body = json!({"UserName": emma}).to_string();
    let key = [("Idempotency-Key", "k")];
    app.sandbox.inject(Fault::on("POST", PASS_PATH, FaultKind::DelayAfter(Duration::from_secs(9))));
    let (made, busy) = tokio::join!(send(&app, &body, &key), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        send(&app, &body, &[]).await
    });
    answers.extend([made, busy]);
    answers.push(send(&app, &body, &key).await);
    answers.push(send(&app, &json!({"UserName": emma, "Reason": "other"}).to_string(), &key).await);
    answers.push(send(&app, &body, &[]).await);

    for kind in [fail_with(400), fail_with(403), throttle("3"), FaultKind::LoseAnswer] {
        let (app, emma) = TestApp::with_emma();
        app.sandbox.inject(Fault::on("POST", PASS_PATH, kind).times(9));
        answers.push(call_for(&app, emma, json!({})).await);
    }
    let (tenant, emma) = tenant_with_emma();
    answers.push(
        call_for(&TestApp::with_ledger(tenant, &[], FaultyLedger::with_fault(Unavailable)), emma, json!({}))
            .await,
    );
    answers
}

#[tokio::test(start_paused = true)]
async fn the_definition_has_exactly_the_answers_of_the_handler() {
    let definition = definition();
    let responses = operation(&definition)["responses"].as_object().unwrap();
    let (mut statuses, mut seen): (BTreeSet<String>, BTreeMap<String, BTreeSet<String>>) = Default::default();
    for answer in sample_answers().await {
        let status = answer.status.to_string();
        let response =
            responses.get(&status).unwrap_or_else(|| panic!("{status} is not documented: {answer:?}"));
        let reference = response["schema"]["$ref"].as_str().unwrap().to_owned();
        let schema = resolved(&definition, &response["schema"]);
        let found = problems(schema, &answer.body, "", seen.entry(reference).or_default());
        assert_eq!(found, Vec::<String>::new(), "{answer:?}");
        let has_retry_after = answer.headers.get("retry-after").is_some();
        assert!(
            !has_retry_after || response["headers"].get("Retry-After").is_some(),
            "{status}: Retry-After is not documented"
        );
        statuses.insert(status);
    }
    let documented_statuses: BTreeSet<String> =
        responses.keys().filter(|status| !NOT_TESTED.contains(&status.as_str())).cloned().collect();
    assert_eq!(statuses, documented_statuses, "every documented status must occur");
    for (reference, seen) in seen {
        let mut fields = BTreeSet::new();
        documented_fields(resolved(&definition, &json!({"$ref": reference.as_str()})), "", &mut fields);
        assert_eq!(seen, fields, "{reference}: every documented field must occur");
    }
}

#[test]
fn every_field_has_a_summary_and_a_description() {
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
