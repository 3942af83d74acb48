//! At open: database × shims × exit records × kernel. Every container of the database gets its driver, which finds
//! out the rest (`container/restore.rs`); run-time folders without a container are cleared away.

use std::collections::HashSet;

use boxship_shim::protocol::Request as Ask;

use crate::container::handle::Container;
use crate::container::network::published_before;
use crate::shim_link::ShimLink;
use crate::{Engine, Result, error::blocking};

/// Makes memory true. Containers are found when this returns; their states settle right after.
pub(crate) async fn run(engine: &Engine) -> Result<()> {
    let loader = engine.clone();
    let rows = blocking(move || {
        let rows = loader.inner.rows.load()?;
        loader.inner.networks.restore(&published_before(&loader, &rows));
        Ok(rows)
    });
    let rows = rows.await?;
    let known: HashSet<_> = rows.iter().map(|(configuration, _)| configuration.id.clone()).collect();
    let mut drivers = Vec::with_capacity(rows.len());
    for (configuration, state) in rows {
        let registry = &engine.inner.registry;
        if let Err(error) = registry.reserve(&configuration.name, &configuration.id) {
            tracing::error!(%error, "name of a container in the database not usable");
        }
        let (container, driver) = Container::new(engine, configuration, state);
        registry.insert(container);
        drivers.push(driver);
    }
    let restored = drivers.into_iter().map(|driver| tokio::spawn(driver.restore_state()));
    for restored in futures_util::future::join_all(restored).await {
        match restored {
            Ok(Some(driver)) => drop(tokio::spawn(driver.live())),
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "a container could not be restored"),
        }
    }
    clear_orphans(engine, &known).await?;
    let clearer = engine.clone();
    blocking(move || {
        clearer.inner.networks.clear_strangers();
        Ok(())
    })
    .await
}

/// Run-time folders of containers that nobody knows: their shims are told to go, then the rest is removed.
async fn clear_orphans(engine: &Engine, known: &HashSet<String>) -> Result<()> {
    let folder = engine.store().paths().exec_containers();
    let names = blocking(move || {
        let entries = std::fs::read_dir(&folder)?;
        Ok(entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect::<Vec<_>>())
    });
    for id in names.await?.into_iter().filter(|name| !known.contains(name)) {
        tracing::info!(container = id, "run-time files without a container are removed");
        let shim = ShimLink::new(engine.store().paths().exec_container(&id));
        // No answer: no shim.
        let _ = shim.ask(&Ask::Delete).await;
        engine.remove_leftovers(&id).await;
    }
    Ok(())
}
