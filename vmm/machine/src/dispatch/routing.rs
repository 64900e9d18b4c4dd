//! Routing: which function and region an address leads to, by memory, by port, or by CONFIG_ADDRESS and CONFIG_DATA.

use barscope_device::{AccessSize, ConfigAddress, Refused, Region};
use barscope_trace::event::{Id, Outcome, Target};

use super::Dispatcher;
use crate::layout;
use crate::lock::lock;
use crate::perform::Request;
use crate::platform::Platform;
use crate::routes::{Destination, Found};

/// Where an access leads.
pub(super) struct Routed {
    pub(super) target: Target,
    pub(super) way: Way,
}

/// What is there.
pub(super) enum Way {
    /// A function, and the offset in its region.
    Function(Destination, u64),
    /// What answers is no function: the record's route, how it went, and the value.
    Answered(Id, Outcome, u64),
}

impl<P: Platform> Dispatcher<P> {
    /// Whether `size` bytes at `port`, where nothing fixed is, are to be recorded: in configuration space, in
    /// the window for I/O BARs, or where a BAR is, be it in vain.
    pub fn claims_port(&self, port: u16, size: u8) -> bool {
        layout::CONFIG_PORTS.contains(&port)
            || layout::PCI_IO.contains(&port.into())
            || self.mapped.load().claims_port(port, size)
    }

    /// Whether guest physical `address` belongs to a function.
    pub fn is_device_memory(&self, address: u64) -> bool {
        self.mapped.load().memory(address, 1) != Found::Nothing
    }

    /// The definition of the route that guest physical `address` leads to; 0 if none does.
    pub fn route_to(&self, address: u64) -> Id {
        match self.mapped.load().memory(address, 1) {
            Found::Route(destination) | Found::CrossesBoundary(destination) => destination.id,
            Found::Nothing => 0,
        }
    }

    pub(super) fn route_memory(&self, address: u64, request: Request) -> Routed {
        let found = self.mapped.load().memory(address, request.size);
        let way = way(found, request, |destination| address - destination.base);
        Routed { target: Target::Memory(address), way }
    }

    pub(super) fn route_port(&self, port: u16, request: Request) -> Routed {
        if layout::CONFIG_PORTS.contains(&port) {
            return self.route_config_port(port, request);
        }
        let found = self.mapped.load().port(port, request.size);
        let offset = match found {
            Found::Route(route) | Found::CrossesBoundary(route) => port - route.base as u16,
            Found::Nothing => 0,
        };
        let target = Target::Port { port, routing_id: 0, offset };
        Routed { target, way: way(found, request, |_| offset.into()) }
    }

    /// CONFIG_DATA leads to the function that CONFIG_ADDRESS selects; CONFIG_ADDRESS itself answers here.
    fn route_config_port(&self, port: u16, request: Request) -> Routed {
        let Request { size, written } = request;
        let offset = u64::from(port - layout::CONFIG_PORTS.start());
        let crosses_boundary = offset % 4 + u64::from(size) > 4;
        let mut config_address = lock(&self.config_address);
        let data = offset.checked_sub(4).filter(|_| !crosses_boundary);
        if let Some((bdf, register)) = data.and_then(|data| config_address.target(data)) {
            let target = Target::Port { port, routing_id: bdf.routing_id(), offset: register };
            let function = self.functions.iter().position(|slot| slot.bdf == bdf);
            let found = function.map_or(Found::Nothing, |function| {
                let id = self.functions[function].config_data;
                let destination = Destination { id, function, region: Region::Config, base: 0 };
                // With low bits in CONFIG_ADDRESS, an access may end past what it reaches.
                if u64::from(register) + u64::from(size) <= ConfigAddress::REACH {
                    Found::Route(destination)
                } else {
                    Found::CrossesBoundary(destination)
                }
            });
            return Routed { target, way: way(found, request, |_| register.into()) };
        }
        let size = AccessSize::new(size.into()).ok_or(Refused::Width);
        let answered = size.and_then(|size| match written {
            Some(value) => config_address.write(offset, size, value).map(|()| value),
            None => config_address.read(offset, size),
        });
        let way = match answered {
            Ok(value) => Way::Answered(self.config_address_route, Outcome::Ok, value),
            Err(_) => Way::Answered(0, Outcome::Unclaimed, request.unanswered()),
        };
        Routed { target: Target::Port { port, routing_id: 0, offset: offset as u16 }, way }
    }
}

fn way(found: Found, request: Request, offset: impl FnOnce(&Destination) -> u64) -> Way {
    match found {
        Found::Route(destination) => Way::Function(destination, offset(&destination)),
        Found::CrossesBoundary(destination) => {
            Way::Answered(destination.id, Outcome::Straddles, request.unanswered())
        }
        Found::Nothing => Way::Answered(0, Outcome::Unclaimed, request.unanswered()),
    }
}
