#![doc = include_str!("../README.md")]
#![no_std]
#![no_main]

mod flash;
mod serial;
mod timer;

use core::panic::PanicInfo;
use flash::Slots;
use fugit::RateExtU32;
use qdllm_app::{BoardConfig, End, Memory, run};
use qdllm_chips::mapped_flash::MappedFlash;
use qdllm_runtime::ScratchI16;
use rp2040_hal::uart::{DataBits, StopBits, UartConfig, UartPeripheral};
use rp2040_hal::{Clock, Sio, Timer, Watchdog, clocks, entry, gpio, pac, usb};
use serial::SerialPorts;
use timer::TimerCounter;
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
    let mut ports = SerialPorts::new(device.build(), serial, uart, timer);
    let mut counters = TimerCounter::new(timer, clocks.system_clock.freq().to_Hz());
    // SAFETY: flash is mapped as long as the board runs, and this is the only time.
    let mut slots = unsafe { MappedFlash::of_slots(Slots) };
    let config = BoardConfig::new("pico", slots.layout());
    loop {
        let Ok(ended) = run(&mut ports, &mut slots, &mut counters, MEMORY, &config);
        // Nothing outside could see that the program ended.
        if ended.by == End::Reset {
            ports.settle();
            restart()
        }
    }
}

/// The chip starts again: nothing here can be told to anybody.
fn restart() -> ! {
    cortex_m::peripheral::SCB::sys_reset()
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    restart()
}
