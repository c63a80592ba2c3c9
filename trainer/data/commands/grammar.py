"""What generate.py lays over the templates of home-assistant-intents: slot fills, and repairs.

The templates are written to *recognise* speech, so they accept much that nobody would say ("increase
fan[s] <in> [<the>] {floor} [floor]", doubled articles, covers that are turned on). The tables below
narrow them to what somebody would say. Slot values may themselves use the template syntax.
"""

import re

# --- The classes, and the intents (without their prefix Hass) that feed them.
CLASSES = {
    "turn_on": ["TurnOn"],
    "turn_off": ["TurnOff"],
    "light_set": ["LightSet"],
    "climate": ["ClimateSetTemperature", "ClimateGetTemperature", "ClimateSetFanMode", "FanSetSpeed"],
    "timer": ["StartTimer", "IncreaseTimer", "DecreaseTimer", "CancelTimer", "CancelAllTimers",
              "PauseTimer", "UnpauseTimer", "TimerStatus"],
    "media": ["MediaNext", "MediaPrevious", "MediaPause", "MediaUnpause", "MediaPlayerMute",
              "MediaPlayerUnmute", "MediaSearchAndPlay", "SetVolume", "SetVolumeRelative"],
    "query_state": ["GetState", "GetWeather", "GetCurrentTime", "GetCurrentDate"],
    "list": ["ShoppingListAddItem", "ShoppingListCompleteItem", "ListAddItem", "ListCompleteItem",
             "ListRemoveItem"],
}
# An imperative may be asked politely (the package has such words among those to skip).
POLITE = ["please {}", "{} please", "can you {}", "could you {}", "would you {}", "can you please {}", "{} for me",
          "could you {} for me", "i want you to {}", "i'd like you to {}"]
IMPERATIVE = re.compile(
    r"(turn|switch|activate|deactivate|set|change|make|adjust|increase|decrease|add|remove|take|start|create|"
    r"cancel|stop|pause|resume|continue|play|replay|skip|mute|unmute|unpause|put|delete|check|complete) ")

# --- Rules <x>: the package's own, narrowed; <det> is an addition.
OPTIONAL_RULES = ("the", "det", "here", "everywhere")  # a sentence can do without these
RULES = {
    "temp": "(temperature|temperature|temp)",
    "the": "(the|the|the|the|my|our)",
    "all": "(all|all the|all of the|all my)",
    "det": "(the|the|the|the|my|all the|all)",
    "everywhere": "(everywhere|all over the house|throughout the house|in every room|in the whole house"
                  "|in the entire apartment)",
    "here": "(in here|in here|in this room|in the room)",
    "is": "(is|are)",
    "what_is": "(what's|what is|tell me)",
    "how_is": "(how is|how's)",
    "where_is": "(where is|where's)",
    "which": "(which|which of the|what)",
    "are_any": "are any [of the]",
    "are_all": "are all [of] the",
    "how_many": "how many [of the]",
    "lockable": "(doors|windows|locks)",
    "light": "(lights|lights|lights|light|lamp|lamps|lighting)",
    "track": "(song|track)",
    "media": "(music|movie|tv show|show|podcast|song|track)",
    "timer_set": "(start|set|set|create)",
    "timer_cancel": "(cancel|stop)",
    "timer_remove": "(remove|take)",
    "numeric_value_set": "(set|set|change|turn|turn up|turn down|increase|decrease|make)",
    "set": "(set|set|make|change|turn)",
    "turn": "(turn|turn|switch)",
}


def values(text):
    return [v.strip() for v in text.split(",")]


def durations():
    out = [f"{n} minutes" for n in (2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 35, 40, 45, 50, 90)]
    out += [f"{n} seconds" for n in (10, 15, 20, 30, 40, 45, 60, 90)]
    out += ["1 minute", "1 hour", "half an hour", "half a minute", "an hour", "an hour and a half"]
    out += [f"{n} hours" for n in (2, 3, 4, 5, 6, 8, 12)]
    out += [f"{h} and {m} minutes" for h in ("1 hour", "2 hours", "3 hours") for m in (10, 15, 20, 30, 45)]
    out += [f"{m} minutes and {s} seconds" for m in (2, 3, 5) for s in (15, 30, 45)]
    return out + ["2 and a half hours", "1 and a half hours", "3 and a half minutes", "2 and a half minutes"]


_LIGHTS = ("bedroom lamp, desk lamp, porch light, kitchen light, ceiling light, hallway light, garden lights, "
           "christmas lights, night light, floor lamp, bedside lamp, led strip, garage light, reading lamp, "
           "string lights, patio light, living room lamp, bathroom light")
_MOVABLE = ("tv, fan, radio, heater, stereo, soundbar, speaker, projector, air purifier, humidifier, "
                  "dehumidifier, space heater, ceiling fan, air conditioner")

# --- Slots. A slot's name says which domain it fits; name_slot() chooses it for the templates' {name}.
SLOTS = {
    "area": values("kitchen, living room, bedroom, guest room, bathroom, hallway, office, garage, garden, attic, "
                   "basement, dining room, nursery, laundry room, study, playroom, workshop, sunroom"),
    "floor": values("first floor, second floor, third floor, ground floor, top floor, upper floor, lower floor"),
    "light_name": values(_LIGHTS),
    "lamp": values("desk lamp, bedside lamp, reading lamp, reading light, night light, table lamp, corner lamp, "
                   "ceiling light, ceiling lights, wall light, closet light, counter lights, string lights"),
    "device": values(_LIGHTS + ", " + _MOVABLE) + values(
        "coffee machine, kettle, dishwasher, washing machine, dryer, sprinkler, water pump, electric blanket, "
        "oven, extractor fan, fountain, bedroom fan, bathroom fan, living room tv, game console, heating, "
        "heat pump, boiler, radiator, floor heating, security camera, towel warmer, hot tub"),
    "portable": values(_MOVABLE + ", lamp, night light, ceiling light, table lamp, floor lamp"),
    "scene": values("movie night, good night, good morning, dinner, party, reading, relax, romantic, cozy, "
                    "bedtime, sunset, focus, breakfast, wake up"),
    "color": values("white, red, orange, yellow, green, blue, purple, pink, turquoise"),
    "brightness_level": values("maximum, minimum, max, min, highest, lowest"),
    "color_temperature": [str(k) for k in range(2000, 6600, 500)],
    "color_temperature_names": values("candle light, warm white, cool white, cold white, daylight"),
    "thermostat": values("thermostat, radiator, heat pump, air conditioner, boiler, floor heating, water heater, "
                         "living room thermostat, bedroom radiator, upstairs thermostat, office heater, living room, "
                         "bedroom, nursery, office, hot tub, greenhouse, oven, heating"),
    "aircon": values("air conditioner, heat pump, thermostat, bedroom air conditioner, furnace, office heat pump"),
    "warm_place": values("greenhouse, hot tub, pool, sauna, wine cellar, conservatory, freezer, fish tank"),
    "temperature": [str(t) for t in list(range(15, 31)) + list(range(60, 86))],
    "fan_mode": values("auto, automatic, low, medium, high"),
    "fan": values("ceiling fan, kitchen fan, living room fan, bedroom fan, bathroom fan, desk fan, exhaust fan, "
                  "office fan, tower fan"),
    "percentage": [str(p) for p in range(5, 101, 5)],
    "step": values("5, 10, 15, 20, 25, 30"),
    "up_down": values("up, down"),
    "player": values("tv, living room tv, bedroom tv, speaker, kitchen speaker, radio, soundbar, stereo, "
                     "projector, smart speaker, record player, home theater"),
    "player_kind": values("tv, speaker, radio, soundbar, stereo, projector, smart speaker, record player"),
    "query": values("jazz, rock, classical music, the news, some music, christmas songs, the beatles, "
                    "country music, rain sounds, piano music, bach, abba, hip hop, queen, the radio, "
                    "my favorites, white noise, dance music, taylor swift, something relaxing, yellow, blue monday, "
                    "light my fire, purple rain, time after time, the weather report, set fire to the rain, "
                    "turn the page, ring of fire, cold as ice, hot in here, lights out"),
    "class_query": values("artist adele, artist bob dylan, artist miles davis, album abbey road, album thriller, "
                          "album nevermind, song yesterday, song imagine, song bohemian rhapsody, track africa, "
                          "song turn turn turn, track shut up and dance, song black, album the wall, "
                          "playlist road trip, playlist dinner party, playlist lights down low, podcast daily news, "
                          "podcast science weekly, movie casablanca, movie the matrix, "
                          "show doctor who, tv show friends"),
    "query_class": values("workout playlist, party playlist, chill playlist, thriller album, abbey road album, "
                          "daily news podcast, history podcast, imagine song, summer hits playlist"),
    "outdoor_cover": values("doors, windows, blinds, curtains, shutters, gates, garage doors, awnings"),
    "indoor_cover": values("doors, windows, blinds, curtains, shutters, shades"),
    "cover_state": values("open, closed, shut"),
    "cover_name": values("garage door, front gate, awning, skylight, bedroom curtain, roller shutter, "
                         "kitchen blind, patio shade, water valve"),
    "cover_kind": values("window, door, skylight, curtain, blind, shutter"),
    "moving_state": values("open, closed, shut, opening, closing"),
    "lock_name": values("front door, back door, garage door, side gate, shed, safe, patio door"),
    "lock_kind": values("door, window, safe, cabinet"),
    "lock_state": values("locked, unlocked"),
    "opening": values("front door, back door, mailbox, bedroom window, fridge door, garage door, patio door"),
    "parking": values("guest room, driveway, parking spot, bathroom, meeting room, garage, crib"),
    "occupied_state": values("occupied, empty, clear, unoccupied"),
    "detector": values("motion sensor, presence sensor, smoke detector, leak sensor"),
    "triggered_state": values("triggered, clear, on"),
    "appliances": values("lights, lights, lamps, fans, switches"),
    "on_off_state": values("on, off"),
    "reading": values("humidity, air quality, battery level, power consumption, water level, solar power, "
                      "energy usage, air pressure, wind speed, carbon dioxide level, electricity price"),
    "stateful": values("washing machine, dishwasher, dryer, garage door, front door, water pump, alarm, tv, "
                       "porch light, robot vacuum, sprinkler, car charger, oven"),
    "person": values("john, emma, mom, dad, grandma, anna, david, sarah, lucas"),
    "zone": values("home, at home, at work, at school, at the office, at the gym"),
    "city": values("london, paris, berlin, new york, chicago, madrid, tokyo, boston"),
    "duration": durations(),
    # A duration before a noun has no plural: "a ten minute timer".
    "span": [f"{n} minute" for n in (2, 3, 5, 8, 10, 12, 15, 20, 25, 30, 40, 45, 90)]
            + [f"{n} second" for n in (15, 20, 30, 45, 60, 90)] + [f"{n} hour" for n in (1, 2, 3, 4, 8)]
            + ["half hour", "1 hour 30 minute", "1 hour and 15 minute"],
    "long_span": values("20 minute, 25 minute, 30 minute, 40 minute, 45 minute, 90 minute, 1 hour, 2 hour, "
                        "3 hour, half hour"),
    "step_duration": values("20 seconds, 30 seconds, 45 seconds, half a minute, 1 minute, a minute, 2 minutes, "
                            "3 minutes, 4 minutes, 5 minutes, 6 minutes, 7 minutes, 8 minutes, 10 minutes, "
                            "12 minutes, 15 minutes, 1 minute and 30 seconds, 2 minutes and 30 seconds, "
                            "2 and a half minutes"),
    "timer_name": values("pizza, pasta, tea, laundry, egg, homework, nap, workout, cookie, rice, chicken, "
                         "bread, coffee, oven, cake, break, lights out, tv, reading, bath, movie, sprinkler, bedtime"),
    # Commands put off by a timer: the words of other classes, told apart by "in ten minutes" alone.
    "command_on": values("turn on the heater, turn on the coffee machine, turn on the oven, switch on the kettle, "
                         "turn the porch light on, turn on the lights, switch the fan on, turn on the tv"),
    "command_off": values("turn off the lights, turn off the tv, switch off the fan, turn off the heating, "
                          "turn the oven off, switch the lights off, turn off the radio, turn off the kettle"),
    "command_media": values("pause the music, play the news, stop the music, mute the tv, play jazz, "
                            "turn the volume down, skip this song, play some music"),
    "command_set": values("set the thermostat to 20, dim the lights, turn the lights red, set the heating to 22, "
                          "lock the front door, open the blinds, close the garage door, start the dishwasher"),
    "item": values("milk, eggs, bread, apples, coffee, batteries, soap, butter, bananas, cheese, rice, pasta, "
                   "chicken, tomatoes, onions, orange juice, toilet paper, shampoo, cereal, sugar, flour, "
                   "olive oil, potatoes, carrots, yogurt, tea, salt, paper towels, dog food, trash bags, "
                   "toothpaste, a dozen eggs, ice cream, lettuce, peanut butter, light bulbs, cat litter, a desk lamp, "
                   "a kitchen timer, a fan heater, lamp oil, speaker cable, white paint, cold cuts, hot sauce"),
    "task": values("call mom, pay the rent, water the plants, clean the car, walk the dog, buy stamps, "
                   "fix the sink, mow the lawn, book a flight, wash the windows, return the package, "
                   "renew my passport, change the air filter, email the landlord, vacuum the stairs, "
                   "dentist appointment, pick up the kids, order a gift, take out the trash, clean the oven, "
                   "turn off the water, set up the tv, check the thermostat, change the light bulb, "
                   "fix the ceiling fan, cancel the gym, play with the kids, "
                   "set the table, start the laundry, clean the living room"),
    "todo_list": values("to do list, to do list, to dos, chores, chores list, errands, weekend list, work list, "
                        "family list, cleaning list, tasks, project list, holiday list"),
}
# Slots that stand in the same place in a sentence, for telling whether two templates are the same.
GROUPS = {"area": "place", "floor": "place", "portable": "device", "light_name": "device", "lamp": "device",
          "long_span": "span", "step_duration": "duration",
          "player_kind": "player", "indoor_cover": "cover", "outdoor_cover": "cover",
          "class_query": "query", "query_class": "query"}


def name_slot(intent, domains, template):
    """The slot that {name} stands for in this template; None: the template is not used."""
    placed = "{area}" in template or "{floor}" in template
    if intent in ("TurnOn", "TurnOff"):
        if "scene" in domains:
            return "scene"
        if "switch" in domains:
            return "portable" if placed else "device"
        return "lamp" if "light" in domains else None  # covers, valves, locks, buttons, scripts: no
    if intent == "GetState":
        if "{on_off_states" in template:
            return "device"
        if "{cover_states" in template:
            return "cover_kind" if placed else "cover_name"
        if "{lock_states" in template:
            return "lock_kind" if placed else "lock_name"
        if "{bs_open" in template:
            return "cover_kind" if placed else "opening"
        if "{bs_occupancy" in template:
            return "detector" if placed else "parking"
        return "person"
    if intent == "GetWeather":
        return "city"
    if "List" in intent:
        return "todo_list"
    if intent == "FanSetSpeed":
        return "fan"
    if intent.startswith("Climate"):
        if intent == "ClimateSetFanMode":
            return "aircon"
        return "warm_place" if template.startswith("how (hot") else "thermostat"
    if intent == "LightSet":
        return "light_name"
    return "player_kind" if placed else "player"


# --- Templates left out: a regular expression over "Intent template".
DROP = [
    r"^TurnO\w+ .*cover_classes",  # one opens a cover, one does not turn it on
    r"^TurnOn \[<the>\] \{name\}$",  # a bare name is no command
    r"^TurnO\w+ .*<light> \{floor\}$",  # "turn on lights first floor"
    r"^TurnOn light ",  # "light in here up"
    r"^(In|De)creaseTimer .*timer for \{timer_\w+:start",  # "increase the timer for 5 minutes by 2 minutes"
    r"^MediaPrevious \[<the>\] \{name\} \(play",
    r"^ListCompleteItem .*\(off;|^ShoppingListCompleteItem .*\(off;",  # the plain form stands for both
]

# --- Repairs by intent (a prefix of its name), before the common ones. Regular expressions.
REWRITE_INTENT = [
    ("TurnOn", r"^\[activate\]", "activate"),
    ("TurnOn", r"to scene (?:\[<the>\] )?\{scene\}", "to scene {scene}"),  # but not "the movie night on"
    ("TurnOn", r"to scene \[<the>\] \{area\} \{scene\}", "to scene {area} {scene}"),
    ("TurnOn", r"(?<!to scene )(\[<the>\] |\{area\} )\{scene\}(?: \[scene\])?", r"\1{scene} scene"),
    ("TurnOn", r"light up \[<here>\]", "light up (this room|the room|the place)"),
    ("Turn", r"<home> <light> <everywhere>", "(house|apartment) <light> [(everywhere|in every room)]"),
    ("Turn", r"\(off\|out\)", "(off|off|out)"),
    ("Turn", r"\[\(<all>\|<the>\)\] <light>|\[<all>\] \[<the>\] <light>", "<det> <light>"),
    ("Turn", r"\[\(<all>\|<the>\)\] fan|\[<all>\] \[<the>\] fan", "<det> fan"),
    ("Turn", r"\[<all>\] \[<the>\]", "<det>"),
    ("Turn", r"(\{area\}) \[<the>\] (\{\w+\})", r"\1 \2"),
    ("Turn", r"\{lamp\} <light>", "{lamp}"),
    ("Turn", r"\[to\] (on|off)", r"\1"),
    ("Turn", r"get every <light>", "get every (light|lamp)"),
    ("Turn", r"<all> <light> <is>", "<all> (lights|lamps) are"),
    ("LightSet", r"^\[<(numeric_value_set|set)>\]", r"(<\1>|<\1>|)"),
    ("LightSet", r"\[to\] \[the\] \{brightness", "to the {brightness"),
    ("LightSet", r"\[\[the\] color of\]", "[the color of]"),
    ("LightSet", r"\[color\] temperature", "color temperature"),
    ("LightSet", r"\(<all>\|<the>\)\] <light> \[<in>\] \[<the>\] \{area\}",
     "<det>] (lights|lamps) in the {area}"),
    ("LightSet", r"\[\(<all>\|<the>\)\] <light>", "<det> (lights|lights|light|lamp)"),
    ("LightSet", r"\[<det>\]", "<det>"),
    ("Climate", r"(\{(?:area|thermostat|floor)\}) \[current\]", r"\1"),
    ("Climate", r"\[it <in>\] \[<the>\] \{area\}", "[it in] the {area}"),
    ("Climate", r"(\{thermostat\}) \[<temp>\]", r"\1 [temperature]"),
    ("Climate", r"\(of\|on\)(?= \[<the>\] \{aircon)", "of"),
    ("Climate", r"\(on\|in\) \{fan_mode", "on {fan_mode"),
    ("Climate", r"<temp> \[of\]", "<temp> of"),
    ("FanSetSpeed", r"\[of \[the\]\]|\[of\](?= fan)", "of the"),
    ("FanSetSpeed", r"^\[<set>\]( fan)?", lambda m: "(<set>|<set>|)" + (" the fan" if m.group(1) else "")),
    ("FanSetSpeed", r"fan\[s\] \[speed\]", "(fan|fans|fan speed)"),
    ("FanSetSpeed", r"\[to\]", "to"),
    ("StartTimer", r"^(.*)\{timer_command:\w+\}(.*)$",
     "\n".join(r"\1{command_%s}\2" % kind for kind in ("on", "off", "media", "set"))),
    ("DecreaseTimer", r"\(from\|off\)", "(from|off|off of)"),
    # A timer is shortened by less than it has.
    ("DecreaseTimer", r"\{timer_\w+:start_\w+\}\( \|-\)\w+\[s\] timer", "{long_span} timer"),
    ("(In|De)creaseTimer", r"\{timer_\w+:(hours|minutes|seconds)\}\( \|-\)\w+\[s\]", "{step_duration}"),
    ("(In|De)creaseTimer", r"\{step_duration\}(?: \[and\] \{step_duration\})+", "{step_duration}"),
    ("TimerStatus", r"(\{(?!area)[^}]*\}(?:\( \|-\)\w+\[s\])?) timer\[s\]", r"\1 timer"),
    ("TimerStatus", r"\[how much\] time \[is\] left", "(how much time is left|how much time left|time left)"),
    ("Media", r"\(pause;(\[<the>\] \{player\})\)", r"pause \1"),
    ("Media", r"\((\(unpause\|resume\));(\[<the>\] \{player\})\)", r"\1 \2"),
    ("Media", r"\[\[the\|my\] \(music[^)]*\)\]", "(the|my) <media>"),
    ("Media", r"\(\[the\] \(music[^)]*\)\)", "the (music|sound|movie)"),
    ("Media", r"\(music\|\[tv[^)]*\)", "(music|tv show|show|podcast)"),
    ("Media", r"\[\[<the>\] <media>\]", "<the> <media>"),
    ("Media", r"item", "song"),
    ("Media", r"next \[track\|song\]", "next <track>"),
    ("Media", r"\(skip \[\(to .*\)\];", "(skip (to the next <track>|the <track>|this <track>);"),
    ("Media", r"replay \[the \(previous\|last\) (\(song\|track\)|<track>)\]", "replay the (previous|last) <track>"),
    ("Media", r"go back \[to the \(previous\|last\) (\(song\|track\)|<track>)\]",
     "go back to the (previous|last) <track>"),
    ("Media", r"play \[the\] \(previous\|last\) \[[^]]*\]\s*\[again\]", "play the (previous|last) <track> [again]"),
    ("MediaSearch", r"\{media_class\} \{search_query\}", "{class_query}"),
    ("MediaSearch", r"\{search_query\} \{media_class\}", "{query_class}"),
    ("MediaSearch", r"\{search_query\}", "{query}"),
    ("SetVolume", r"\(\[<the>\] \{(area|floor|player)\}(?: \[floor\])?;(volume [^)]*)\)", r"<the> {\1} \2"),
    ("SetVolume", r"\[turn\] \{volume_step\}", "turn {up_down}"),
    ("SetVolume", r"^\{volume_step\}", "(increase|decrease)"),
    ("SetVolume", r"\{volume_step\}", "{up_down}"),
    ("SetVolume", r"turn \[volume\]", "turn the volume"),
    ("SetVolume", r"(\{(?:area|player)\}) \[volume\]", r"\1 volume"),
    ("SetVolume", r"\[turn \[the\]\]", "[turn the]"),
    ("SetVolume", r"\[by\] ", "by "),
    ("GetState", r"^\(do you know.*", "(do you know|tell me|<what_is>) (the [current] state of the {stateful}"
                                      "|the [current] {reading})"),
    ("GetState", r"^<how_is>.*", "<how_is> the {reading}"),
    ("GetState", r"^<is>", "is"),
    ("GetState", r"<is>", "are"),
    ("GetState", r"<light>|fan\[s\]|switch\[es\]", "{appliances}"),
    ("GetState", r"\[<the>\] \{person\}", "{person}"),
    ("GetState", r"\[<in>\] \[<the>\] \{zone[^}]*\}", "{zone}"),
    ("GetState", r"\(people\|persons\)", "people"),
    ("GetState", r"(.*(?:area|floor).*)\{cover_classes[^}]*\}(.*)|(.*)\{cover_classes[^}]*\}(.*(?:area|floor).*)",
     r"\1\3{indoor_cover}\2\4"),
    ("GetState", r"\{cover_classes[^}]*\}", "{outdoor_cover}"),
    ("GetState", r"(_cover\}.*)\{cover_states[^}]*\}", r"\1{cover_state}"),
    ("GetState", r"\{cover_states[^}]*\}", "{moving_state}"),
    ("GetState", r"\{bs_open_states[^}]*\}", "{cover_state}"),
    ("GetState", r"(detector\} )\{bs_occ[^}]*\}", r"\1{triggered_state}"),
    ("GetState", r"\{bs_occ[^}]*\}", "{occupied_state}"),
    ("GetCurrentDate", r"todays\|", ""),
    ("GetWeather", r"\(for\|in\|at\) \[<the>\]", "(for|in)"),
    ("GetWeather", r"\[<the>\] \{city\}", "the {city}"),
    # The verbs that close an item need different words around it: one template each.
    ("Shopping", r"^\(check.*\(off\|.*", "check {item} off LIST\ncheck off {item} on LIST\ncomplete {item} on LIST\n"
                                         "delete {item} from LIST\nremove {item} from LIST"),
    ("Shopping", r"LIST", "[my|the] [shopping] list"),
    ("ListComplete", r"^\(check.*\(off\|.*", "check {task} off LIST\n"
                                             "check off {task} on LIST\ncomplete {task} on LIST"),
    ("ListRemove", r"^.*", "delete {task} from LIST\nremove {task} from LIST"),
    ("List", r"LIST", "[my|the] {todo_list} [list]"),
    ("List", r"\{todo_list\} \[list\]", "{todo_list}"),
]

# --- Repairs everywhere: units become one {duration}, articles stop being optional, prepositions fit.
REWRITE = [
    (r"\{(\w+):\w+\}", r"{\1}"),
    (r"\{timer_\w+\} and \[a\] \{timer_half\} \w+\[s\]|\{timer_half\} an? \w+\[s\]", "{duration}"),
    (r"\{timer_(?:hours|minutes|seconds)\}\( \|-\)\w+\[s\]", "{duration}"),
    (r"\{duration\}(?: \[and\] \{duration\})+", "{duration}"),
    (r"\{duration\} timer", "{span} timer"),
    (r"\{shopping_list_item\}", "{item}"),
    (r"\{todo_list_item\}", "{task}"),
    (r"\{floor\} \[floor\]", "{floor}"),
    (r"(\[<in>\]|<in>|\(in\|on\)|\(of\|on\)|\[in\]|\bin) \[<the>\] \{area\}", "in the {area}"),
    (r"(\[<in>\]|<in>|\(in\|on\)|\(of\|on\)) \[<the>\] \{floor\}", "on the {floor}"),
    (r"(\[on\|for\]|\[on\]) \[<the>\]", "on [<the>]"),
    (r"\[of\] ", "of "),
    (r"\[<the>\]", "<the>"),
    (r"\[the\] ", "the "),
    (r"\[the\|my\]", "(the|the|my)"),
    (r"\[my\|the\]", "(the|my|my)"),
    (r"\[a\|an\|the\|my\]", "(a|a|a|my)"),
    (r"\(on\|in\) (\(the|my)", r"(on) \1"),
    (r"\[\(\[ \]%\)\| percent\]|\[%\| percent\]", "(%| percent| percent|)"),
    (r"\[\(\[ \]°\)\|\( degree\[s\]\)\]", "( degrees| degrees|)"),
    (r"\[\[ \]\(k\|kelvin\)\]", "( kelvin|k|)"),
    (r"\{(volume_step_up|volume_step_down)\}", "{step}"),
    (r"\{(volume|brightness|fan_speed)\}", "{percentage}"),
    (r"\{(on_off|lock)_states\}", r"{\1_state}"),
]

# --- Sentences thrown away: (class or "", regular expression).
_COLORS = "|".join(SLOTS["color"])
REJECT = [
    ("", r"\b(the|my|our|a) (the|my|our|a)\b|\ball lighting\b|\bon on\b|\bcheck check\b"),
    ("light_set", r"^(?!.*(brightness|%|percent|kelvin|\dk|color|" + _COLORS + r"))"),  # "the lamp to 40"
    ("light_set", r"\d brightness"),
    ("light_set", r"^(increase|turn up).*\b(min|minimum|lowest)\b|^(decrease|turn down).*\b(max|maximum|highest)\b"),
    ("light_set", r"^(increase|decrease|turn up|turn down|make).*(white|light|daylight)$"),
    ("light_set", r"^(set|change|increase|decrease|turn (up|down)|(the )?color of) (?!.* to )"),
    ("light_set", r"^turn (?!.* to )(.*color|(?!.*(" + _COLORS + r")$))"),
    ("climate", r"^(increase|decrease|turn (up|down)) fan mode|\bfans?( in \w+( \w+)?)? to \d+$"),
    ("turn_off", r"\b(the|my|our) (light|lamp)\b.*(house|apartment|everywhere|every room)$"),
    ("query_state", r"^tell me .*\blike\b|^is .*\blights\b"),
]

ONES = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
        "seventeen eighteen nineteen").split()
TENS = "_ _ twenty thirty forty fifty sixty seventy eighty ninety".split()


def spell(number):
    if number < 20:
        return ONES[number]
    if number < 100:
        return TENS[number // 10] + (" " + ONES[number % 10] if number % 10 else "")
    if number < 1000:
        return ("a hundred" if number == 100 else spell(number // 100) + " hundred")
    rest = number % 1000
    return spell(number // 1000) + " thousand" + (" " + spell(rest) if rest else "")
