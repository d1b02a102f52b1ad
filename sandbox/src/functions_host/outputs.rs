//! Reads a handler's response as the host does. Observed on the Functions host 4.1037.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use super::{
    dotnet::{Fields, Token},
    function::{Function, Output},
    http_answer::HttpAnswer,
    log::Failure,
    worker::RawResponse,
};

/// The outputs of a successful invocation.
#[derive(Debug)]
pub(super) struct Outputs {
    /// Queue names and messages, in this order.
    pub(super) messages: Vec<(String, Vec<u8>)>,
    /// The answer to the caller of an HTTP function.
    pub(super) answer: HttpAnswer,
    pub(super) logs: Vec<String>,
}

/// Reads a response. `None` if the host never completes the invocation: `DefaultHttpWorkerService.cs` sets no result
/// when the body is empty, blank or `null`.
pub(super) fn read(function: &Function, reply: &RawResponse) -> Option<Result<Outputs, Failure>> {
    if !reply.status.is_success() {
        return Some(Err(Failure::Status { status: reply.status, reason: reply.reason.clone() }));
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
    let media = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if !["application/json", "text/json"].contains(&media.as_str()) {
        return Err(format!("its content type is {content_type:?}, not application/json or text/json"));
    }
    if reply.body.trim_ascii().is_empty() {
        return Ok(None);
    }
    let answer = match serde_json::from_slice(&reply.body).map_err(|error| error.to_string())? {
        Token::Null => return Ok(None),
        Token::Object(answer) => answer,
        _ => return Err("it is not an object".to_owned()),
    };
    let logs = logs(&reply.body)?;
    let (mut values, without_output) = match answer.property("Outputs") {
        Token::Null => (Fields::default(), HttpAnswer::no_content()),
        Token::Object(values) => (values.clone(), HttpAnswer::without_output()),
        _ => return Err("Outputs is not an object".to_owned()),
    };
    // The host ignores a ReturnValue without a binding for it.
    if function.outputs.iter().any(|output| output.name == "$return") {
        values.set("$return".to_owned(), answer.property("ReturnValue").clone());
    }
    // The host drops unknown outputs silently, which is never intended.
    if let Some((name, _)) =
        values.0.iter().find(|(name, _)| !function.outputs.iter().any(|output| output.name == *name))
    {
        return Err(format!("the function has no output {name:?}; the host would drop it silently"));
    }
    let mut outputs = Outputs { messages: Vec::new(), answer: without_output, logs };
    for output in &function.outputs {
        match (&output.queue, values.get(&output.name)) {
            (_, None) | (Some(_), Some(Token::Null)) => {}
            (None, Some(value)) => outputs.answer = HttpAnswer::read(value)?,
            (Some(queue), Some(value)) => {
                outputs
                    .messages
                    .extend(messages(output, value).into_iter().map(|message| (queue.clone(), message)));
            }
        }
    }
    Ok(Some(outputs))
}

/// Here the host reads text as it is: a date remains, and `true` is not `True` (`JsonReader.ReadAsString`).
fn logs(body: &[u8]) -> Result<Vec<String>, String> {
    let answer: Map<String, Value> = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let lines = answer.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("Logs"));
    let lines = match lines {
        None | Some((_, Value::Null)) => return Ok(Vec::new()),
        Some((_, Value::Array(lines))) => lines,
        Some(_) => return Err("Logs is not an array".to_owned()),
    };
    let line = |value| match value {
        Value::String(text) => Ok(text),
        Value::Null => Ok(String::new()),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        Value::Array(_) | Value::Object(_) => Err("Logs contains a value that is not text".to_owned()),
    };
    lines.into_iter().map(line).collect()
}

/// The messages of a queue output, as bytes (`HttpScriptInvocationResultExtensions.cs`, `FunctionBinding.cs`).
fn messages(output: &Output, value: &Token) -> Vec<Vec<u8>> {
    let message = |value: &Token| value.text().into_bytes();
    match value {
        Token::Array(items) => items.iter().map(message).collect(),
        Token::String(text) => {
            // The host decodes a single string that is valid base64, even "test".
            if let Some(bytes) = STANDARD.decode(text).ok().filter(|_| !output.is_binary) {
                return vec![bytes];
            }
            match serde_json::from_str(text) {
                Ok(Token::Array(items)) => items.iter().map(message).collect(),
                Ok(object @ Token::Object(_)) => vec![message(&object)],
                _ => vec![text.clone().into_bytes()],
            }
        }
        other => vec![message(other)],
    }
}
