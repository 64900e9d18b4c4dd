//! A function as its description has it: what software finds of it, and nothing behind that.

use barscope_device::{
    AccessSize, BadState, Bdf, ConfigHeader, Context, Description, PciDevice, PciFunction, Refused, Region,
    RegisterMap, state,
};
use barscope_trace::definition::Function;

/// A device that answers nothing.
struct Described(Description);

impl PciDevice for Described {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn header(&self) -> ConfigHeader {
        self.0.header().clone()
    }

    fn register_maps(&self) -> &[RegisterMap] {
        self.0.register_maps()
    }

    fn read(&mut self, _: &mut Context<'_>, _: Region, _: u64, _: AccessSize) -> Result<u64, Refused> {
        Err(Refused::Reserved)
    }

    fn write(
        &mut self,
        _: &mut Context<'_>,
        _: Region,
        _: u64,
        _: AccessSize,
        _: u64,
    ) -> Result<(), Refused> {
        Err(Refused::Reserved)
    }

    fn peek(&self, _: Region, _: u64) -> Option<u64> {
        None
    }

    fn reset(&mut self) {}

    fn save(&self) -> state::Value {
        state::Value::Null
    }

    fn restore(&mut self, _: state::Value) -> Result<(), BadState> {
        Ok(())
    }
}

/// The function's definition, with the registers of its configuration space.
pub(crate) fn function(bdf: Bdf, description: &Description) -> Function {
    let function = PciFunction::new(Box::new(Described(description.clone())));
    Function::new(bdf, &function)
}
