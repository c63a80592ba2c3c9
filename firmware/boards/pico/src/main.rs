#![doc = include_str!("../README.md")]
#![no_std]
#![no_main]

mod flash;
mod serial;

use flash::Slots;
use fugit::RateExtU32;
use qdllm_app::{BoardConfig, Counters, End, Memory, run};
use qdllm_chips::mapped_flash::MappedFlash;
use qdllm_chips::memory;
use qdllm_runtime::ScratchI16;
use rp2040_hal::uart::{DataBits, StopBits, UartConfig, UartPeripheral};
use rp2040_hal::{Clock, Sio, Timer, Watchdog, clocks, entry, gpio, pac, usb};
use serial::SerialPorts;
use usb_device::bus::UsbBusAllocator;
use usb_device::device::{StringDescriptors, UsbDeviceBuilder, UsbVidPid};
use usbd_serial::{SerialPort, USB_CLASS_CDC};

const CRYSTAL_HZ: u32 = 12_000_000;

/// The pair that V-USB's list shares for CDC devices told apart by their strings.
const SHARED_CDC: UsbVidPid = UsbVidPid(0x16c0, 0x27dd);

#[entry]
#[allow(unsafe_code)]
fn main() -> ! {
    static mut MEMORY: Memory<ScratchI16> = Memory::new(ScratchI16::new());
    let Some(mut chip) = pac::Peripherals::take() else { restart() };
    let mut watchdog = Watchdog::new(chip.WATCHDOG);
    let Ok(clocks) = clocks::init_clocks_and_plls(
        CRYSTAL_HZ,
        chip.XOSC,
        chip.CLOCKS,
        chip.PLL_SYS,
        chip.PLL_USB,
        &mut chip.RESETS,
        &mut watchdog,
    ) else {
        restart()
    };
    let sio = Sio::new(chip.SIO);
    let pins = gpio::Pins::new(chip.IO_BANK0, chip.PADS_BANK0, sio.gpio_bank0, &mut chip.RESETS);
    let uart = UartPeripheral::new(
        chip.UART0,
        (pins.gpio0.into_function(), pins.gpio1.into_function()),
        &mut chip.RESETS,
    );
    let speed = UartConfig::new(115_200.Hz(), DataBits::Eight, None, StopBits::One);
    let Ok(uart) = uart.enable(speed, clocks.peripheral_clock.freq()) else { restart() };
    let timer = Timer::new(chip.TIMER, &mut chip.RESETS, &clocks);
    let bus = UsbBusAllocator::new(usb::UsbBus::new(
        chip.USBCTRL_REGS,
        chip.USBCTRL_DPRAM,
        clocks.usb_clock,
        true,
        &mut chip.RESETS,
    ));
    let serial = SerialPort::new(&bus);
    let names = StringDescriptors::default().manufacturer("qdllm").product("qdllm console");
    let Ok(device) =
        UsbDeviceBuilder::new(&bus, SHARED_CDC).device_class(USB_CLASS_CDC).strings(&[names])
    else {
        restart()
    };
    let usb = device.build();
    let mut ports = SerialPorts { usb, serial, uart, timer, over_usb: false };
    let core_hz = clocks.system_clock.freq().to_Hz();
    let mut counters = TimerCounter { timer, since_us: 0, core_hz };
    // SAFETY: flash is mapped as long as the board runs, and this is the only time.
    let mut slots = unsafe { MappedFlash::of_slots(Slots) };
    let config = BoardConfig::new("pico", slots.layout());
    #[cfg(feature = "signing")]
    let config = config.with_key(env!("QDLLM_PUBLIC_KEY"));
    loop {
        let Ok(ended) = run(&mut ports, &mut slots, &mut counters, MEMORY, &config);
        // Nothing outside could see that the program ended.
        if ended.by == End::Reset {
            ports.settle();
            restart()
        }
    }
}

/// Time by the chip's microsecond timer, and cycles by its relation to the core's clock; the core has no counter of
/// instructions.
struct TimerCounter {
    timer: Timer,
    since_us: u64,
    core_hz: u32,
}

impl Counters for TimerCounter {
    fn start(&mut self) {
        self.since_us = self.timer.get_counter().ticks();
    }

    /// To within one microsecond's worth of them.
    fn cycles(&mut self) -> u64 {
        self.microseconds() * u64::from(self.core_hz / 1_000_000)
    }

    fn microseconds(&mut self) -> u64 {
        self.timer.get_counter().ticks() - self.since_us
    }

    fn stack_bytes(&self) -> usize {
        memory::stack_high_water_bytes()
    }

    fn static_bytes(&self) -> usize {
        memory::static_ram_bytes()
    }
}

/// The chip starts again: nothing here can be told to anybody.
fn restart() -> ! {
    cortex_m::peripheral::SCB::sys_reset()
}
