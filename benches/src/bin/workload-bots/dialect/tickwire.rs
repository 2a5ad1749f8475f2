//! Ours: the real client link, which decodes every snapshot and checks every digest.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use tickwire_benches::workload::Command;
use tickwire_shared::{
    game::Input,
    link::{ClientEvent, ClientLink, Digest},
    time::Micros,
    wire::SUBPROTOCOL,
};

use super::{Dialect, State, Upgrade};

/// See the module.
#[derive(Default)]
pub(super) struct Tickwire(ClientLink);

impl Dialect for Tickwire {
    fn reserve(&mut self, _: SocketAddr) -> Result<Upgrade> {
        Ok(Upgrade { path: "/v1/play?match=auto".into(), subprotocol: Some(SUBPROTOCOL) })
    }

    fn write_hello(&self, out: &mut Vec<u8>) {
        ClientLink::write_hello("", None, out);
    }

    fn write_input(&mut self, command: Command, out: &mut Vec<u8>) -> Option<u32> {
        // A tick that is past means "as soon as possible".
        let applied = self.0.applied()?;
        let mut values = [0; 4];
        command.write_values(&mut values);
        self.0.write_input(applied, &values, out).map(|seq| seq.0)
    }

    fn handle(&mut self, message: &[u8], now: Micros, _: &mut Vec<u8>) -> Result<Option<State>> {
        let ClientEvent::Snapshot { digest, .. } = self.0.handle_frame(message, now)? else {
            return Ok(None);
        };
        ensure!(digest != Digest::Differs, "a digest differs");
        let entities = self.0.rows().map_or(0, |rows| rows.len());
        Ok(Some(State { entities, processed: self.0.processed().0 }))
    }
}
