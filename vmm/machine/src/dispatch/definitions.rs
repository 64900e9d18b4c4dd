//! Definitions of functions and routes in the trace.

use barscope_device::{Decode, Region, Space};
use barscope_trace::definition::{self, Definition};
use barscope_trace::event::Id;
use barscope_trace::{WriteError, Writer};
use rustc_hash::FxHashMap;

use crate::budget::{Account, Kind};

/// A route into a region of a function.
pub(super) fn route_definition(function: Id, region: Region, decode: Decode) -> Definition {
    Definition::Route(definition::Route {
        function: Some(function),
        region,
        space: decode.space,
        base: decode.base,
        size: decode.size,
    })
}

/// Routes that were defined. One that comes again is the same.
pub(super) struct RouteDefinitions {
    routes: FxHashMap<(Id, Region, Space, u64, u64), Id>,
    account: Account,
}

impl Default for RouteDefinitions {
    fn default() -> Self {
        Self { routes: FxHashMap::default(), account: Account::new(Kind::Route) }
    }
}

impl RouteDefinitions {
    /// The id of a route into a region of a function; 0 if there is no room for it.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub(super) fn route(
        &mut self,
        writer: &Writer,
        function: Id,
        region: Region,
        decode: Decode,
    ) -> Result<Id, WriteError> {
        let key = (function, region, decode.space, decode.base, decode.size);
        if let Some(id) = self.routes.get(&key) {
            return Ok(*id);
        }
        let definition = route_definition(function, region, decode);
        let Some(id) = self.account.define(writer, &definition, &[])? else { return Ok(0) };
        self.routes.insert(key, id);
        Ok(id)
    }

    /// The text of the warning that there is no more room, once.
    pub(super) fn take_warning(&mut self) -> Option<Id> {
        self.account.take_warning()
    }
}
