//! One list in several requests.

use serde::{Deserialize, de::DeserializeOwned};

use super::{
    client::{Graph, GraphRequest},
    error::GraphError,
};

/// More pages than any list here has: a limit for page links that form a cycle.
const MAX_PAGES: usize = 1_000;

/// One page of a list.
#[derive(Debug, Deserialize)]
pub(super) struct Page<T> {
    pub value: Vec<T>,
    #[serde(rename = "@odata.nextLink")]
    pub next_link: Option<String>,
}

impl Graph {
    /// All items of the list at `path`.
    pub(super) async fn list<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        path: &str,
        eventual: bool,
    ) -> Result<Vec<T>, GraphError> {
        let first = GraphRequest { eventual, ..GraphRequest::get(operation, path) };
        self.rest(operation, self.send(first).await?.json()?, eventual).await
    }

    /// All items of a list whose first page was read.
    pub(super) async fn rest<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        first: Page<T>,
        eventual: bool,
    ) -> Result<Vec<T>, GraphError> {
        let mut items = first.value;
        let mut next = first.next_link;
        for _ in 0..MAX_PAGES {
            let Some(url) = next else { return Ok(items) };
            // The token is sent to Graph only.
            if !self.is_own(&url) {
                return Err(GraphError::unreadable(
                    operation,
                    "the link to the next page leads away from Graph",
                ));
            }
            let page: Page<T> = self
                .send(GraphRequest { url, eventual, ..GraphRequest::get(operation, "") })
                .await?
                .json()?;
            items.extend(page.value);
            next = page.next_link;
        }
        Err(GraphError::unreadable(operation, "the list has too many pages"))
    }
}
