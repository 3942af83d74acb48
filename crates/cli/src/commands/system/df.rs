//! `system df`: what takes space.

use boxship_api::container::Summary as Container;
use boxship_api::image::Summary as Image;
use boxship_api::system::DiskUsage;
use boxship_client::Query;
use boxship_oci::reference::Reference;

use crate::command::{Command, Operands};
use crate::commands::{action, container, image};
use crate::failure::{Failure, Result};
use crate::flags::Flag;
use crate::format::{self, Listing, Row};
use crate::invocation::Invocation;
use crate::values::size;

/// `system df`.
pub const DF: Command = Command {
    name: "df",
    usage: "[OPTIONS]",
    about: "Show disk usage",
    operands: Operands::None,
    mixed: true,
    flags: &[
        Flag::value("format", "string", format::HELP),
        Flag::switch("verbose", "Show detailed information on space usage").short('v'),
    ],
    shared: &[],
    aliases: &[],
    action: action!(df),
};

const LISTING: Listing = Listing {
    headings: &[
        ("Type", "TYPE"),
        ("TotalCount", "TOTAL"),
        ("Active", "ACTIVE"),
        ("Size", "SIZE"),
        ("Reclaimable", "RECLAIMABLE"),
    ],
    table: "table {{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}",
    kind: "*formatter.diskUsageImagesContext",
};

const IMAGES: &str = "table {{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t{{.SharedSize}}\t{{.UniqueSize}}\t{{.Containers}}";
const CONTAINERS: &str = "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t{{.RunningFor}}\t{{.Status}}\t{{.Names}}";

/// What `--format raw` means.
const RAW: &str = "type: {{.Type}}\ntotal: {{.TotalCount}}\nactive: {{.Active}}\nsize: {{.Size}}\nreclaimable: {{.Reclaimable}}\n";

async fn df(invocation: &Invocation) -> Result<u8> {
    let parsed = &invocation.parsed;
    let given = parsed.text("format").unwrap_or_default();
    let verbose = parsed.on("verbose");
    if verbose && !matches!(given, "" | "table") {
        return Err(Failure::new("--verbose with --format is not supported: leave one of them out"));
    }
    let usage: DiskUsage = invocation.client().await?.get("/system/df", Query::new()).await?;
    let text = if verbose { detailed(&usage)? } else { brief(given, &usage)? };
    invocation.print(text)?;
    Ok(0)
}

fn brief(given: &str, usage: &DiskUsage) -> Result<String> {
    format::listing(&LISTING, if given == "raw" { RAW } else { given }, &summary(usage))
}

fn summary(usage: &DiskUsage) -> Vec<Row> {
    let images = usage.images.as_deref().unwrap_or_default();
    let used: i64 = images
        .iter()
        .filter(|i| i.containers != 0 && i.size != -1 && i.shared_size != -1)
        .map(own_size)
        .sum();
    let active = images.iter().filter(|image| image.containers > 0).count();
    let containers = usage.containers.as_deref().unwrap_or_default();
    let running =
        |container: &&Container| matches!(container.state.as_str(), "running" | "paused" | "restarting");
    let size: i64 = containers.iter().map(|container| container.size_rw).sum();
    let idle: i64 = containers.iter().filter(|c| !running(c)).map(|container| container.size_rw).sum();
    let volumes = usage.volumes.as_deref().unwrap_or_default();
    let caches = usage.build_cache.as_deref().unwrap_or_default();
    let volume_sizes =
        volumes.iter().filter_map(|volume| volume.usage_data.as_ref()).filter(|data| data.size != -1);
    let volume_size: i64 = volume_sizes.clone().map(|data| data.size).sum();
    let volume_idle: i64 = volume_sizes.filter(|data| data.ref_count == 0).map(|data| data.size).sum();
    let volume_active =
        volumes.iter().filter(|v| v.usage_data.as_ref().is_some_and(|data| data.ref_count > 0)).count();
    let cache_size: i64 = caches.iter().filter(|cache| !cache.shared).map(|cache| cache.size).sum();
    let cache_used: i64 =
        caches.iter().filter(|cache| cache.in_use && !cache.shared).map(|cache| cache.size).sum();
    let layers = usage.layers_size;
    vec![
        line("Images", images.len(), active, layers, share(layers - used, layers)),
        line(
            "Containers",
            containers.len(),
            containers.iter().filter(running).count(),
            size,
            share(idle, size),
        ),
        line("Local Volumes", volumes.len(), volume_active, volume_size, share(volume_idle, volume_size)),
        line(
            "Build Cache",
            caches.len(),
            caches.iter().filter(|cache| cache.in_use).count(),
            cache_size,
            human(cache_size - cache_used),
        ),
    ]
}

fn own_size(image: &Image) -> i64 {
    image.size - image.shared_size
}

fn human(size: i64) -> String {
    size::human(size as f64, 4)
}

/// A size, and how much of the whole it is.
fn share(part: i64, whole: i64) -> String {
    if whole > 0 { format!("{} ({}%)", human(part), part * 100 / whole) } else { human(part) }
}

fn line(kind: &str, count: usize, active: usize, size: i64, reclaimable: String) -> Row {
    Row::new(vec![
        ("Type", kind.into()),
        ("TotalCount", count.to_string().into()),
        ("Active", active.to_string().into()),
        ("Size", human(size).into()),
        ("Reclaimable", reclaimable.into()),
    ])
}

fn detailed(usage: &DiskUsage) -> Result<String> {
    let images = usage.images.iter().flatten().map(|image| {
        let name = image.repo_tags.first().and_then(|name| Reference::parse(name).ok());
        let (repository, tag) = name.map_or(("<none>".into(), "<none>".into()), |name| {
            (name.familiar_name(), name.tag().unwrap_or("<none>").to_string())
        });
        image::ls::row(image, true, &repository, &tag, "")
    });
    let containers = usage.containers.iter().flatten().map(|one| {
        let without_virtual = Container { size_root_fs: 0, ..one.clone() };
        container::ls::row(&without_virtual, true)
    });
    let volumes = usage.volumes.iter().flatten().map(|volume| {
        let data = volume.usage_data.clone().unwrap_or_default();
        format!("{}\t{}\t{}\n", volume.name, data.ref_count, human(data.size))
    });
    let caches = usage.build_cache.iter().flatten();
    let cache_size: i64 = caches.clone().filter(|cache| !cache.shared).map(|cache| cache.size).sum();
    let caches = caches.map(|cache| {
        format!(
            "{}\t{}\t{}\t\t\t{}\t{}\n",
            cache.id,
            cache.kind,
            human(cache.size),
            cache.usage_count,
            cache.shared
        )
    });
    let volumes: String = std::iter::once("VOLUME NAME\tLINKS\tSIZE\n".to_string()).chain(volumes).collect();
    let heading = "CACHE ID\tCACHE TYPE\tSIZE\tCREATED\tLAST USED\tUSAGE\tSHARED\n".to_string();
    let caches: String = std::iter::once(heading).chain(caches).collect();
    let others = usage.others.iter().map(|one| format!("{}\t{}\n", one.description, human(one.size)));
    let others: String = std::iter::once("TYPE\tSIZE\n".to_string()).chain(others).collect();
    // Docker's daemon tells nothing of it.
    let others = match usage.others.is_empty() {
        true => String::new(),
        false => format!("\nOther space usage:\n\n{}", format::tabs::align(&others, 10, 3)),
    };
    Ok(format!(
        "Images space usage:\n\n{}\nContainers space usage:\n\n{}\nLocal Volumes space usage:\n\n{}\nBuild cache usage: \
         {}\n\n{}{others}",
        format::listing(&image::ls::LISTING, IMAGES, &images.collect::<Vec<_>>())?,
        format::listing(&container::ls::LISTING, CONTAINERS, &containers.collect::<Vec<_>>())?,
        format::tabs::align(&volumes, 10, 3),
        human(cache_size),
        format::tabs::align(&caches, 10, 3),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_is_line_by_line() {
        let text = brief("raw", &DiskUsage::default()).map_err(|failure| failure.message()).unwrap();
        let parts = ["Images", "Containers", "Local Volumes", "Build Cache"];
        let expected =
            parts.map(|part| format!("type: {part}\ntotal: 0\nactive: 0\nsize: 0B\nreclaimable: 0B\n\n"));
        assert_eq!(text, expected.concat());
    }
}
