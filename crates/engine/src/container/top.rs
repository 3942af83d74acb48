//! Top: the processes of a container, read from the kernel.

use boxship_api as api;
use boxship_shim::protocol::{Request as Ask, Response};

use super::processes::{Columns, Machine, Process};
use super::state::Status;
use crate::shim_link::into_error;
use crate::{Engine, Error, Result, error::blocking};

impl Engine {
    /// `GET /containers/{id}/top`; `ps_args` in ps's own grammar, empty is `-ef`.
    pub async fn container_top(&self, reference: &str, ps_args: &str) -> Result<api::container::TopResponse> {
        let columns = Columns::parse(if ps_args.trim().is_empty() { "-ef" } else { ps_args })?;
        let container = self.inner.registry.find(reference)?;
        match container.state().status {
            Status::Running | Status::Paused => {}
            Status::Restarting => return Err(Error::restarting(&container.id)),
            _ => return Err(Error::not_running(&container.id)),
        }
        let mut pids = match container.shim.ask(&Ask::Pids).await.map_err(into_error)? {
            Response::Pids(pids) => pids,
            _ => return Err(Error::internal("the shim does not tell the container's processes")),
        };
        pids.sort_unstable();
        let titles = columns.titles();
        let processes = blocking(move || {
            let machine = Machine::read();
            let found = pids.into_iter().filter_map(Process::read);
            Ok(found.map(|process| columns.row(&process, &machine)).collect::<Vec<_>>())
        })
        .await?;
        self.tell_container(&container.configuration(), "top", &[]);
        Ok(api::container::TopResponse { processes: Some(processes), titles: Some(titles) })
    }
}
