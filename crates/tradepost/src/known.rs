//! Which marketplaces the database is of: ids and aliases that were given out are derived from id and domain, so that
//! neither may change.

use anyhow::bail;
use operations::Settings;
use store::Store;

/// In the store's settings, `marketplace/ID` is the domain of each marketplace that was ever served, and `marketplaces/N`
/// the ids one by one.
fn domain_setting(id: &str) -> String {
    format!("marketplace/{id}")
}

fn listed_setting(number: usize) -> String {
    format!("marketplaces/{number}")
}

/// Notes the marketplaces of a configuration. One whose domain was another is refused, one that is missing is warned of.
pub(crate) async fn remember(store: &dyn Store, settings: &Settings) -> anyhow::Result<()> {
    for marketplace in &settings.marketplaces {
        let (id, domain) = (marketplace.id.as_str(), marketplace.domain.as_str());
        let stored = store.put_setting_once(&domain_setting(id), domain).await?;
        if stored != domain {
            bail!(other_domain(id, &stored, domain));
        }
    }
    let mut known: Vec<String> = Vec::new();
    while let Some(id) = store.find_setting(&listed_setting(known.len())).await? {
        known.push(id);
    }
    let mut number = known.len();
    for id in settings.marketplaces.iter().map(|m| m.id.as_str()).filter(|id| !known.iter().any(|known| known == id)) {
        // Another process may take the number at the same time.
        while store.put_setting_once(&listed_setting(number), id).await? != id {
            number += 1;
        }
        number += 1;
    }
    for id in known.iter().filter(|id| !settings.marketplaces.iter().any(|m| m.id.as_str() == id.as_str())) {
        // No fault: it may have been a mistake of the first hour.
        tracing::warn!(
            "[[marketplace]] id {id}: is missing, and was served from this database before; mail to its aliases is refused. If it holds data, put it back: all stored ids are derived from it"
        );
    }
    Ok(())
}

/// Whether a configuration has every marketplace of the running one as it was.
pub(crate) fn compare(old: &Settings, new: &Settings) -> anyhow::Result<()> {
    for before in &old.marketplaces {
        match new.marketplaces.iter().find(|now| now.id == before.id) {
            None => bail!(missing(before.id.as_str())),
            Some(now) if now.domain != before.domain => {
                bail!(other_domain(before.id.as_str(), before.domain.as_str(), now.domain.as_str()))
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn missing(id: &str) -> String {
    format!(
        "[[marketplace]] id {id}: is missing, but the database holds data of it; all stored ids are derived from it, and mail to its aliases is refused: put it back"
    )
}

fn other_domain(id: &str, before: &str, now: &str) -> String {
    format!(
        "[[marketplace]] {id}: domain is {now}, but the database was begun with {before}; every alias that was given out is of that domain: put it back, and give another domain a [[marketplace]] with an id of its own; if none was given out yet, begin with an empty database"
    )
}
