//! What `store init` does: the schema, and what a role that is not its owner needs in it.

use std::sync::Arc;

use steadfast_host::clock::{self, Moment};

use super::listen::Ears;
use super::pool::Pool;
use super::schema::{FORMAT, Found};
use super::{Settings, failure};
use crate::url::Url;
use crate::{Access, Error};

/// Makes what is not there, and says what it made.
pub(crate) async fn prepare(
    url: Url<'_>,
    access: &Access,
    role: Option<&str>,
    deadline: Moment,
) -> Result<Vec<String>, Error> {
    let settings = Arc::new(Settings::of(url, access)?);
    let ears = Arc::new(Ears::new(false, settings.schema.name()));
    let pool = Pool::new(Arc::clone(&settings), ears);
    let connection = pool.reach(deadline).await?;
    let (client, schema) = (connection.client(), &settings.schema);
    let done = async {
        let found = schema.look(client).await?;
        if let Some(Found::Newer(format)) = found {
            return Ok(Err(settings.newer(format)));
        }
        let may_use = match (found, role) {
            (Some(_), Some(role)) => schema.may_use(client, role).await?,
            (found, role) => found.is_some() && role.is_none(),
        };
        if may_use {
            return Ok(Ok(Vec::new()));
        }
        schema.make(client, role).await?;
        let mut made = Vec::new();
        if found.is_none() {
            made.push(format!("schema {}, format {FORMAT}", schema.name()));
        }
        made.extend(role.map(|role| format!("rights for role {role}")));
        Ok(Ok(made))
    };
    match clock::timeout_at(deadline, done).await {
        Some(Ok(made)) => made,
        Some(Err(error)) => Err(failure::of_connecting(&error, &connection.place(), &settings)),
        None => Err(Error::Unavailable(format!("{}: it did not answer in time", settings.place))),
    }
}

/// The SQL for it.
pub(crate) fn preparation(url: Url<'_>, access: &Access, role: Option<&str>) -> Result<String, Error> {
    let (settings, _) = Settings::parse(url, access)?;
    let (place, schema) = (&settings.place, &settings.schema);
    Ok(format!(
        "-- What Steadfast needs in {place}: for its owner, or whoever may make a schema there.\n{}",
        schema.text(role)
    ))
}
