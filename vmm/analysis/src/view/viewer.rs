//! Resolves events one after the other; the one place where views are built.

use std::collections::HashSet;
use std::sync::Arc;

use barscope_device::{Bdf, Region, Space};
use barscope_trace::definition::{Function, Mapping, Route, Walk};
use barscope_trace::event::{AccessEvent, Event, EventKind, Id, Outcome, References, Target};
use barscope_trace::{Capabilities, Capability, Definitions};

use super::absence::{self, Absence, Absences};
use super::{Place, Uncertain, View, walks};
use crate::code::{Callers, Codes, Context, Shared};
use crate::interrupts::{Handler, Innermost, Tracker};
use crate::reports::Trouble;

/// CONFIG_DATA, PCI Local Bus 3.0, section 3.2.2.3.2.
const CONFIG_DATA: std::ops::RangeInclusive<u16> = 0xcfc..=0xcff;
/// Size of the ECAM window for 256 buses.
const ECAM_SIZE: u64 = 256 << 20;

/// The id of what was said and has no definition, since its kind had no room left.
const NO_ROOM: Id = 0;

/// Resolves events in their order. It remembers what the meaning of later ones depends on: the scenario,
/// the interrupt handlers that run, which access an interrupt came from. Where events are missing, also
/// before the first one that it gets, views say what isn't certain.
#[derive(Default)]
pub struct Viewer {
    codes: Codes,
    walks: Shared<Walk>,
    mappings: Shared<Mapping>,
    functions: Shared<Function>,
    routes: Shared<Route>,
    texts: Shared<str>,
    absences: Absences,
    /// Names that several functions have, of so many functions.
    shared_names: (usize, HashSet<String>),
    scenario: Option<Arc<str>>,
    /// Events are missing since the scenario was last known.
    scenario_lost: bool,
    interrupts: Tracker,
    /// Handlers of interrupts show in call stacks only: an access of the kernel that has none may be one's.
    by_stacks_alone: bool,
    /// Handlers are announced.
    handlers_announced: bool,
}

impl Viewer {
    /// For a trace of which this is told. By default nothing is: views show what there is, and don't say what of it
    /// may be otherwise for want of call stacks.
    pub fn knowing(capabilities: &Capabilities) -> Self {
        let told = |capability| capabilities.tells(capability);
        let by_stacks_alone = told(Capability::Stacks) && !told(Capability::Handlers);
        Self { by_stacks_alone, handlers_announced: told(Capability::Handlers), ..Self::default() }
    }

    /// Resolves the event that comes after those given before.
    pub fn view(&mut self, definitions: &Definitions, event: &Event) -> View {
        let callers = match event.kind {
            EventKind::Access(AccessEvent { stack, .. }) | EventKind::NotEmulated { stack, .. } => {
                self.codes.callers(definitions, stack)
            }
            _ => None,
        };
        let missing = self.interrupts.add(definitions, event, callers.as_deref());
        self.scenario_lost |= missing;
        if missing {
            self.absences.forget();
        }
        if let EventKind::ScenarioBegin { name } = event.kind {
            self.scenario_lost = name == NO_ROOM;
            self.scenario = (name != NO_ROOM).then(|| self.text(definitions, name));
        }
        let scenario = self.scenario.clone();
        let references = event.kind.references();
        let mut uncertain = Uncertain {
            scenario: self.scenario_lost,
            text: references.text == Some(NO_ROOM),
            ..Uncertain::default()
        };
        let (context, caused_by) = self.context(event, callers.as_deref(), &mut uncertain);
        let recorded = Some(references.cause).filter(|cause| *cause != 0);
        let view = View {
            event: *event,
            scenario,
            uncertain,
            alike: false,
            context,
            cause: recorded.or(caused_by),
            function: None,
            route: None,
            place: None,
            code: None,
            callers,
            walk: None,
            mapping: None,
            process: None,
            text: None,
            trouble: None,
            absent: None,
            selects: None,
        };
        let view = match event.kind {
            EventKind::Access(access) => self.access(definitions, &access, view),
            EventKind::NotEmulated { instruction, walk, route, gpa, cpl, .. } => {
                let view = self.instruction(definitions, view, (instruction, walk, cpl));
                let place = gpa.and_then(|gpa| self.place(definitions, route, Target::Memory(gpa)));
                View { place, ..view }
            }
            EventKind::PageWalk { walk, route, gpa, .. } => {
                let walk = self.walk(definitions, walk);
                let mapping = walk.as_ref().and_then(|walk| walk.mapping);
                View {
                    place: gpa.and_then(|gpa| self.place(definitions, route, Target::Memory(gpa))),
                    mapping: mapping.and_then(|id| self.mapping(definitions, id)),
                    process: self.codes.defined_process(
                        definitions,
                        walk.as_ref().and_then(|walk| walk.process).unwrap_or(0),
                    ),
                    text: references.text.map(|id| self.text(definitions, id)),
                    walk,
                    ..view
                }
            }
            _ => self.refer(definitions, &references, view),
        };
        if let EventKind::ScenarioEnd { .. } = event.kind {
            self.scenario = None;
            self.scenario_lost = false;
        }
        View { alike: self.has_namesake(definitions, &view), ..view }
    }

    /// What an access's code runs as, and the access that led to the interrupt that it handles; the latter of a
    /// handler's beginning, too.
    fn context(
        &mut self,
        event: &Event,
        callers: Option<&Callers>,
        uncertain: &mut Uncertain,
    ) -> (Option<Context>, Option<u64>) {
        let Innermost { handler, certain, cause_certain } = self.interrupts.handler(event.vcpu);
        let announced = |uncertain: &mut Uncertain| {
            (uncertain.handler, uncertain.cause) = (!certain, !cause_certain);
            handler.and_then(Handler::caused_by)
        };
        let access = match &event.kind {
            EventKind::Access(access) => access,
            EventKind::IsrEnter { .. } => {
                self.handlers_announced = true;
                return (None, announced(uncertain));
            }
            _ => return (None, None),
        };
        let in_program = access.cpl == 3 && event.vcpu.is_some() && !access.coalesced;
        if handler.is_some() || in_program || (callers.is_none() && !self.by_stacks_alone) {
            let context = match handler {
                Some(_) => Some(Context::HardHandler),
                // Nobody says that it is in none.
                None if !in_program && (!self.handlers_announced || event.vcpu.is_none()) => None,
                None => Some(Context::Task),
            };
            return (context, announced(uncertain));
        }
        let context = callers.and_then(Callers::context);
        let answer = self.interrupts.answer();
        uncertain.handler = context.is_none();
        uncertain.cause = context.is_none_or(|context| context.is_handler() && !answer.certain);
        let cause = answer.to.map(|raised| raised.cause).filter(|cause| *cause != 0);
        (context, cause)
    }

    /// Resolves what a record refers to that isn't of an instruction: subject, place, mapping, text.
    fn refer(&mut self, definitions: &Definitions, references: &References, mut view: View) -> View {
        if let Some(id) = references.function {
            view.function = self.function(definitions, id);
        }
        if let Some(id) = references.route {
            view.route = self.route(definitions, id);
            let function = view.route.as_ref().and_then(|route| route.function);
            view.function = function.and_then(|id| self.function(definitions, id));
        }
        if let Some(offset) = references.offset {
            let function = view.function.take();
            let bdf = function.as_ref().map(|function| function.bdf);
            let routed = view.route.take().map_or(Region::Config, |route| route.region);
            let region = references.region.unwrap_or(routed);
            view.place = Some(Place { bdf, function, region, offset });
        }
        view.mapping = references.mapping.and_then(|id| self.mapping(definitions, id));
        view.process = references.process.and_then(|id| self.codes.defined_process(definitions, id));
        view.text = references.text.map(|id| self.text(definitions, id));
        if let EventKind::Console { .. } = view.kind {
            view.trouble = view.text().and_then(Trouble::of);
        }
        if let EventKind::Route { change, cause, .. } = view.kind
            && let (Some(function), Some(route)) = (&view.function, &view.route)
        {
            self.absences.route(view.seq, (function, route), change, cause);
        }
        view
    }

    /// Resolves the instruction with this definition, the walk of its operand and whose they are.
    fn instruction(
        &mut self,
        definitions: &Definitions,
        view: View,
        (instruction, walk, cpl): (Id, Id, u8),
    ) -> View {
        let walk = self.walk(definitions, walk);
        let mapping = walk.as_ref().and_then(|walk| walk.mapping);
        let mapping = mapping.and_then(|id| self.mapping(definitions, id));
        let told = walk.as_ref().and_then(|walk| walk.process);
        let process = self.codes.process(definitions, view.callers.as_deref(), cpl, told);
        View { code: self.codes.code(definitions, instruction), walk, mapping, process, ..view }
    }

    /// Whether another function has the same name as the one that the view is about.
    fn has_namesake(&mut self, definitions: &Definitions, view: &View) -> bool {
        let (known, names) = &mut self.shared_names;
        if *known != definitions.function_count() {
            *known = definitions.function_count();
            let mut all = HashSet::new();
            let again = definitions.functions().filter(|(_, function)| !all.insert(&function.name));
            *names = again.map(|(_, function)| function.name.clone()).collect();
        }
        !names.is_empty() && view.function().is_some_and(|function| names.contains(&function.name))
    }

    fn access(&mut self, definitions: &Definitions, access: &AccessEvent, view: View) -> View {
        let place = self.place(definitions, access.route, access.target);
        if let Some(place) = place.as_ref().filter(|place| place.is_configuration()) {
            self.absences.configuration(view.seq, access, place);
        }
        let view = self.instruction(definitions, view, (access.instruction, access.walk, access.cpl));
        View {
            absent: self.absent(definitions, access).filter(|_| place.is_none()).map(Box::new),
            selects: self.selected(definitions, access, place.as_ref()).map(Box::new),
            place,
            ..view
        }
    }

    /// What was at the address of an access that reached nothing, or would be.
    fn absent(&mut self, definitions: &Definitions, access: &AccessEvent) -> Option<Absence> {
        let Target::Memory(address) = access.target else { return None };
        if access.outcome != Outcome::Unclaimed {
            return None;
        }
        if let Some(found) = self.absences.explain(address) {
            return Some(found);
        }
        if self.absences.may_have_addresses() {
            return None;
        }
        // With no address given yet, it can only be meant for one of these.
        let mut functions = definitions.functions().take(absence::MOST);
        let (id, region) = functions.find_map(|(id, function)| {
            let bar = function.bars.iter().find(|bar| bar.space == Space::Memory)?;
            Some((id, Region::Bar(bar.index)))
        })?;
        self.function(definitions, id).map(|function| Absence::without_address(function, region))
    }

    /// What a write to CONFIG_ADDRESS selects, if it selects anything (PCI Local Bus 3.0, section 3.2.2.3.2).
    fn selected(
        &mut self,
        definitions: &Definitions,
        access: &AccessEvent,
        place: Option<&Place>,
    ) -> Option<Place> {
        const ENABLE: u64 = 1 << 31;
        place.filter(|place| place.bdf.is_none() && place.is_configuration() && place.offset == 0)?;
        if !access.write || access.size != 4 || access.value & ENABLE == 0 {
            return None;
        }
        let bdf = Bdf::from_routing_id((access.value >> 8) as u16);
        let function = definitions.function_at(bdf).and_then(|id| self.function(definitions, id));
        Some(Place { bdf: Some(bdf), function, region: Region::Config, offset: access.value & 0xfc })
    }

    fn place(&mut self, definitions: &Definitions, route: Id, target: Target) -> Option<Place> {
        let make = || definitions.route(route).cloned().map(Arc::new);
        let Some(route) = self.routes.borrow(route, make) else {
            return unclaimed_configuration(definitions, target);
        };
        let functions = &mut self.functions;
        let function = route
            .function
            .and_then(|id| functions.get(id, || definitions.function(id).cloned().map(Arc::new)));
        let bdf = function.as_ref().map(|function| function.bdf);
        let offset = match target {
            Target::Memory(address) => address.wrapping_sub(route.base),
            Target::Port { offset, .. } => offset.into(),
        };
        Some(Place { bdf, function, region: route.region, offset })
    }

    fn walk(&mut self, definitions: &Definitions, id: Id) -> Option<Arc<Walk>> {
        self.walks.get(id, || walks::walk(definitions, id).map(Arc::new))
    }

    fn mapping(&mut self, definitions: &Definitions, id: Id) -> Option<Arc<Mapping>> {
        self.mappings.get(id, || definitions.mapping(id).cloned().map(Arc::new))
    }

    fn function(&mut self, definitions: &Definitions, id: Id) -> Option<Arc<Function>> {
        self.functions.get(id, || definitions.function(id).cloned().map(Arc::new))
    }

    fn route(&mut self, definitions: &Definitions, id: Id) -> Option<Arc<Route>> {
        self.routes.get(id, || definitions.route(id).cloned().map(Arc::new))
    }

    fn text(&mut self, definitions: &Definitions, id: Id) -> Arc<str> {
        let make = || definitions.get(id).map(|_| Arc::from(definitions.text(id)));
        self.texts.get(id, make).unwrap_or_default()
    }
}

/// An access to the configuration space of a function that isn't there.
pub(crate) fn unclaimed_configuration(definitions: &Definitions, target: Target) -> Option<Place> {
    let (routing_id, offset) = match target {
        Target::Port { port, routing_id, offset } if CONFIG_DATA.contains(&port) => {
            (routing_id, offset.into())
        }
        Target::Port { .. } => return None,
        Target::Memory(address) => {
            let within =
                address.checked_sub(definitions.ecam_base()?).filter(|within| *within < ECAM_SIZE)?;
            ((within >> 12) as u16, within & 0xfff)
        }
    };
    let bdf = Some(Bdf::from_routing_id(routing_id));
    Some(Place { bdf, function: None, region: Region::Config, offset })
}
