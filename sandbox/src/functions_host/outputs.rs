//! Reads a handler's response as the host does.

use axum::http::StatusCode;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use super::{
    function::{Function, Output},
    log::Failure,
    worker::RawResponse,
};

/// The outputs of a successful invocation.
#[derive(Debug, Default)]
pub(super) struct Outputs {
    /// Queue names and messages, in this order.
    pub(super) messages: Vec<(String, Vec<u8>)>,
    pub(super) answer: HttpAnswer,
    pub(super) logs: Vec<String>,
}

/// The response to an HTTP caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HttpAnswer {
    pub(super) status: StatusCode,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Default for HttpAnswer {
    /// The response when the http output is missing.
    fn default() -> Self {
        Self { status: StatusCode::OK, headers: Vec::new(), body: "{}".to_owned() }
    }
}

/// Reads a response. `None` if the host never completes the invocation: `DefaultHttpWorkerService.cs` sets no result
/// when the body is empty or `null`.
pub(super) fn read(function: &Function, reply: &RawResponse) -> Option<Result<Outputs, Failure>> {
    if !reply.status.is_success() {
        return Some(Err(Failure::Status(reply.status)));
    }
    if reply.body.is_empty() {
        return None;
    }
    match parse(function, reply) {
        Ok(None) => None,
        Ok(Some(outputs)) => Some(Ok(outputs)),
        Err(reason) => Some(Err(Failure::Unreadable(reason))),
    }
}

fn parse(function: &Function, reply: &RawResponse) -> Result<Option<Outputs>, String> {
    let content_type = reply.content_type.as_deref().unwrap_or_default();
    if !content_type.contains("json") {
        return Err(format!("its content type is {content_type:?}, not JSON"));
    }
    let answer: Value = serde_json::from_slice(&reply.body).map_err(|error| error.to_string())?;
    let answer = match answer {
        Value::Null => return Ok(None),
        Value::Object(answer) => answer,
        _ => return Err("it is not an object".to_owned()),
    };
    let logs = match property(&answer, "Logs") {
        Value::Null => Vec::new(),
        Value::Array(lines) => lines.iter().map(text).collect::<Result<_, _>>()?,
        _ => return Err("Logs is not an array".to_owned()),
    };
    let mut values = match property(&answer, "Outputs") {
        Value::Null => Map::new(),
        Value::Object(values) => values.clone(),
        _ => return Err("Outputs is not an object".to_owned()),
    };
    match property(&answer, "ReturnValue") {
        Value::Null => {}
        value if function.outputs.iter().any(|output| output.name == "$return") => {
            values.insert("$return".to_owned(), value.clone());
        }
        Value::Object(fields) => values.extend(fields.clone()),
        _ => return Err("it has a ReturnValue, but the function has no $return".to_owned()),
    }
    // The host drops unknown outputs silently, which is never intended.
    if let Some(name) =
        values.keys().find(|name| !function.outputs.iter().any(|output| output.name == **name))
    {
        return Err(format!("the function has no output {name:?}; the host would drop it silently"));
    }
    let mut outputs = Outputs { logs, ..Outputs::default() };
    for output in &function.outputs {
        match (&output.queue, values.get(&output.name)) {
            (_, None | Some(Value::Null)) => {}
            (None, Some(value)) => outputs.answer = http_answer(value)?,
            (Some(queue), Some(value)) => {
                outputs
                    .messages
                    .extend(messages(output, value).into_iter().map(|message| (queue.clone(), message)));
            }
        }
    }
    Ok(Some(outputs))
}

/// Property names are case-insensitive, names of outputs are not.
fn property<'a>(answer: &'a Map<String, Value>, name: &str) -> &'a Value {
    answer.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map_or(&Value::Null, |(_, value)| value)
}

fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        _ => Err("Logs contains a value that is not text".to_owned()),
    }
}

/// The messages of a queue output, as bytes (`HttpScriptInvocationResultExtensions.cs`, `FunctionBinding.cs`).
fn messages(output: &Output, value: &Value) -> Vec<Vec<u8>> {
    match value {
        Value::Array(items) => items.iter().map(message).collect(),
        Value::String(text) => {
            // The host decodes a single string that is valid base64, even "test".
            if let Some(bytes) = STANDARD.decode(text).ok().filter(|_| !output.is_binary) {
                return vec![bytes];
            }
            match serde_json::from_str(text) {
                Ok(Value::Array(items)) => items.iter().map(message).collect(),
                Ok(object @ Value::Object(_)) => vec![message(&object)],
                _ => vec![text.clone().into_bytes()],
            }
        }
        other => vec![message(other)],
    }
}

/// As Newtonsoft's `JToken.ToString()`: strings unchanged, other values indented.
fn message(value: &Value) -> Vec<u8> {
    match value {
        Value::String(text) => text.clone().into_bytes(),
        other => format!("{other:#}").into_bytes(),
    }
}

/// Reads `{statusCode|status, headers, body}`. The default content type is text; a body that is not a string is written
/// as indented JSON.
fn http_answer(value: &Value) -> Result<HttpAnswer, String> {
    // The message omits the value, which may contain a code.
    let unreadable = || "the http output is not of the form {statusCode, headers, body}".to_owned();
    let fields = value.as_object().ok_or_else(unreadable)?;
    let status = match (property(fields, "statusCode"), property(fields, "status")) {
        (Value::Null, status) | (status, _) => status,
    };
    let status = match status {
        Value::Null => Some(200),
        Value::String(text) => text.parse().ok(),
        other => other.as_u64().and_then(|number| u16::try_from(number).ok()),
    };
    let status = status.and_then(|status| StatusCode::from_u16(status).ok()).ok_or_else(unreadable)?;
    let mut headers: Vec<(String, String)> = match property(fields, "headers") {
        Value::Null => Vec::new(),
        Value::Object(headers) => headers
            .iter()
            .map(|(name, value)| {
                (name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            })
            .collect(),
        _ => return Err(unreadable()),
    };
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        headers.push(("content-type".to_owned(), "text/plain; charset=utf-8".to_owned()));
    }
    let body = match property(fields, "body") {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => format!("{other:#}"),
    };
    Ok(HttpAnswer { status, headers, body })
}
