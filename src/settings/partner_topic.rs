//! The Event Grid partner topic that gets Graph's notifications about the on-demand group.

use std::fmt;

use percent_encoding::percent_decode_str;
use uuid::Uuid;

pub(super) const EXAMPLE: &str = "EventGrid:?azuresubscriptionid=0f9d6c1e-5b1a-4a53-9a40-3f5f2f0f7b11\
                                  &resourcegroup=firstpass&partnertopic=firstpass-on-demand&location=westeurope";

/// The parts of an Event Grid notification URL. Azure ignores their case.
#[derive(Clone, Debug)]
pub struct PartnerTopic {
    /// The id of the Azure subscription.
    pub azure_subscription: Uuid,
    /// The resource group.
    pub resource_group: String,
    /// The topic's name.
    pub name: String,
    /// The region's short name.
    pub location: String,
}

impl PartnerTopic {
    /// Parses a notification URL in the form of Graph's page on Event Grid delivery.
    ///
    /// # Errors
    /// All problems, as the rest of a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let query = text.split_once(":?").filter(|(scheme, _)| scheme.eq_ignore_ascii_case("EventGrid"));
        let Some((_, query)) = query else {
            return Err(format!("does not start with EventGrid:? but is \"{text}\""));
        };
        let mut problems = Vec::new();
        let mut parts = Parts::default();
        for part in query.split('&') {
            parts.take(part).unwrap_or_else(|problem| problems.push(problem));
        }
        let azure_subscription = parts.subscription.read("azuresubscriptionid", &mut problems, |text| {
            text.parse().map_err(|_| format!("is not a GUID: \"{text}\""))
        });
        let resource_group = parts.group.read("resourcegroup", &mut problems, resource_group);
        let name = parts.topic.read("partnertopic", &mut problems, topic);
        let location = parts.location.read("location", &mut problems, location);
        match (azure_subscription, resource_group, name, location) {
            (Some(azure_subscription), Some(resource_group), Some(name), Some(location))
                if problems.is_empty() =>
            {
                Ok(Self { azure_subscription, resource_group, name, location })
            }
            _ => Err(format!("is not valid: {}", problems.join(", "))),
        }
    }

    /// Whether both name the same topic, regardless of case.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        self.azure_subscription == other.azure_subscription
            && self.resource_group.eq_ignore_ascii_case(&other.resource_group)
            && self.name.eq_ignore_ascii_case(&other.name)
            && self.location.eq_ignore_ascii_case(&other.location)
    }
}

/// The notification URL.
impl fmt::Display for PartnerTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { azure_subscription, resource_group, name, location } = self;
        write!(
            f,
            "EventGrid:?azuresubscriptionid={azure_subscription}&resourcegroup={resource_group}\
             &partnertopic={name}&location={location}"
        )
    }
}

#[derive(Default)]
struct Parts {
    subscription: Part,
    group: Part,
    topic: Part,
    location: Part,
}

#[derive(Default)]
struct Part(Option<String>);

impl Parts {
    fn take(&mut self, text: &str) -> Result<(), String> {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        let part = match name.to_ascii_lowercase().as_str() {
            "azuresubscriptionid" => &mut self.subscription,
            "resourcegroup" => &mut self.group,
            "partnertopic" => &mut self.topic,
            "location" => &mut self.location,
            _ => return Err(format!("\"{name}\" is not a known part")),
        };
        let value = percent_decode_str(value).decode_utf8_lossy().trim().to_owned();
        match part.0.replace(value) {
            None => Ok(()),
            Some(_) => Err(format!("{name} occurs twice")),
        }
    }
}

impl Part {
    /// Parses the value, or adds a problem.
    fn read<T>(
        self,
        name: &str,
        problems: &mut Vec<String>,
        parse: impl FnOnce(String) -> Result<T, String>,
    ) -> Option<T> {
        let value = match self.0.filter(|value| !value.is_empty()) {
            None => Err("is missing".to_owned()),
            Some(value) => parse(value),
        };
        value.map_err(|problem| problems.push(format!("{name} {problem}"))).ok()
    }
}

fn resource_group(text: String) -> Result<String, String> {
    let fits = |c: char| c.is_alphanumeric() || "_-.()".contains(c);
    if text.chars().all(fits) && text.chars().count() <= 90 && !text.ends_with('.') {
        return Ok(text);
    }
    Err(format!("is not a name of a resource group: \"{text}\""))
}

fn topic(text: String) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if text.chars().all(fits) && (3..=50).contains(&text.len()) {
        return Ok(text);
    }
    Err(format!("is not 3 to 50 letters, digits and hyphens: \"{text}\""))
}

fn location(text: String) -> Result<String, String> {
    if text.chars().all(|c| c.is_ascii_alphanumeric()) {
        return Ok(text);
    }
    Err(format!("is not a region's short name, such as westeurope: \"{text}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_parsed_in_any_case_and_order() {
        let topic = PartnerTopic::parse(EXAMPLE).unwrap();
        assert_eq!(topic.to_string(), EXAMPLE);
        let other = "eventgrid:?Location=WestEurope&PartnerTopic=Firstpass-On-Demand&ResourceGroup=FIRST%70ASS\
                     &AzureSubscriptionId=0F9D6C1E-5B1A-4A53-9A40-3F5F2F0F7B11";
        assert!(topic.same_as(&PartnerTopic::parse(other).unwrap()), "capitals and order mean nothing");
        for (part, instead) in
            [("0f9d", "1f9d"), ("=firstpass&", "=other&"), ("on-demand", "x"), ("west", "north")]
        {
            assert!(!topic.same_as(&PartnerTopic::parse(&EXAMPLE.replace(part, instead)).unwrap()), "{part}");
        }
    }

    #[test]
    fn all_problems_are_reported() {
        let problem = |text: &str| PartnerTopic::parse(text).unwrap_err();
        assert_eq!(
            problem(
                "EventGrid:?azuresubscriptionid=mine&resourcegroup=&location=West%20Europe&region=x&location=y"
            ),
            "is not valid: \"region\" is not a known part, location occurs twice, azuresubscriptionid is not a GUID: \
             \"mine\", resourcegroup is missing, partnertopic is missing"
        );
        let far = EXAMPLE.replace("westeurope", "West Europe");
        assert!(
            problem(&far)
                .contains("location is not a region's short name, such as westeurope: \"West Europe\"")
        );
        assert!(
            problem(&EXAMPLE.replace("firstpass-on-demand", "my_topic"))
                .contains("partnertopic is not 3 to 50")
        );
        assert!(problem(&EXAMPLE.replace("=firstpass&", "=a?b&")).contains("resourcegroup is not a name"));
        assert!(problem("https://example.com").contains("does not start with EventGrid:?"));
        assert!(problem("").contains("does not start"));
    }
}
