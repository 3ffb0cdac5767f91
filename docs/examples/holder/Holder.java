// A holder of customers' data that knows nothing but Kafka and JSON: it keeps one folder of files per customer.
// One process for a folder: what it has read of holds and contracts lies there, too.
// java -cp <kafka-clients and jackson> Holder.java BOOTSTRAP TOPIC_PREFIX NAME FOLDER
// What each step must do, and why, is in docs/holder-protocol.md.
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.time.ZoneId;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.stream.Stream;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public class Holder {
    static final ObjectMapper JSON = new ObjectMapper();
    static final String COMMANDS = "DeletionRequested";
    static final List<String> FACTS = List.of("LegalHoldPlaced", "LegalHoldReleased", "ContractRegistered", "ContractTerminated");
    final String prefix, name;
    final Path data, holds, contracts, answers;
    final KafkaConsumer<String, String> consumer;
    final KafkaProducer<String, String> producer;

    Holder(String bootstrap, String prefix, String name, Path folder) throws IOException {
        this.prefix = prefix;
        this.name = name;
        data = Files.createDirectories(folder.resolve("data"));
        holds = Files.createDirectories(folder.resolve("holds"));
        contracts = Files.createDirectories(folder.resolve("contracts"));
        answers = Files.createDirectories(folder.resolve("answers"));
        producer = new KafkaProducer<>(Map.of("bootstrap.servers", bootstrap, "acks", "all"), new StringSerializer(), new StringSerializer());
        var settings = Map.<String, Object>of("bootstrap.servers", bootstrap, "group.id", prefix + "holder." + name,
                "enable.auto.commit", "false", "auto.offset.reset", "earliest", "isolation.level", "read_committed");
        consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
    }

    public static void main(String[] a) throws Exception {
        new Holder(a[0], a[1], a[2], Path.of(a[3])).run();
    }

    void run() throws Exception {
        consumer.subscribe(Stream.concat(FACTS.stream(), Stream.of(COMMANDS)).map(t -> prefix + t).toList());
        while (true) {
            var records = consumer.poll(Duration.ofSeconds(1));
            // Facts first: a hold that was read together with a command counts.
            for (var record : records) if (!record.topic().equals(prefix + COMMANDS)) fact(record);
            for (var record : records) if (record.topic().equals(prefix + COMMANDS)) command(record);
            // Only now: a crash before this means reading again, and every step may be done again.
            consumer.commitSync();
        }
    }

    /** Reads on to where holds and contracts end now: what was published before a command may lie behind others' records. */
    void hearAll() throws Exception {
        var facts = new HashSet<TopicPartition>();
        for (var topic : FACTS)
            for (var found : consumer.partitionsFor(prefix + topic)) facts.add(new TopicPartition(prefix + topic, found.partition()));
        // A topic that isn't known, or is read by somebody else, is no empty one.
        if (facts.size() < FACTS.size() || !consumer.assignment().containsAll(facts)) throw new IllegalStateException("not all is read here");
        var commands = consumer.assignment().stream().filter(p -> p.topic().equals(prefix + COMMANDS)).toList();
        var ends = consumer.endOffsets(facts);
        consumer.pause(commands);
        while (ends.entrySet().stream().anyMatch(end -> consumer.position(end.getKey()) < end.getValue()))
            for (var record : consumer.poll(Duration.ofSeconds(1))) fact(record);
        consumer.resume(commands);
    }

    void fact(ConsumerRecord<String, String> record) throws Exception {
        if (record.topic().startsWith(prefix + "LegalHold")) hold(record);
        else contract(record);
    }

    /** The event's own fields: a CloudEvent has them under "data", plain JSON is them. */
    static JsonNode event(ConsumerRecord<String, String> record) throws IOException {
        var value = JSON.readTree(record.value());
        return value.has("specversion") ? value.get("data") : value;
    }

    /** An id becomes part of a path, so it must be what the protocol says that an id is. */
    static String customer(JsonNode event) {
        var id = event.get("customer_id").asText();
        if (!id.matches("[A-Za-z0-9][A-Za-z0-9._-]{0,63}")) throw new IllegalArgumentException("not a customer's id");
        return id;
    }

    static String digest(String text) throws Exception {
        var sha = MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8));
        return HexFormat.of().formatHex(sha);
    }

    void hold(ConsumerRecord<String, String> record) throws Exception {
        var event = event(record);
        var folder = Files.createDirectories(holds.resolve(customer(event)));
        // A release may be read before its placing: both are remembered, and a hold counts while only one of them is.
        var kind = record.topic().endsWith("Placed") ? ".placed" : ".released";
        var scope = event.path("scope").path("kind").asText("all");
        Files.writeString(folder.resolve(digest(event.get("hold_id").asText()) + kind), scope);
    }

    /** Of each contract the newest revision and the last end are remembered, whichever is read first. */
    void contract(ConsumerRecord<String, String> record) throws Exception {
        var event = event(record);
        var ended = record.topic().endsWith("Terminated");
        var folder = Files.createDirectories(contracts.resolve(customer(event)));
        var known = folder.resolve(digest(event.get("contract_id").asText()) + (ended ? ".ended" : ".registered"));
        if (Files.exists(known)) {
            var before = JSON.readTree(known.toFile());
            var newer = ended ? moment(event, "terminated_at").isAfter(moment(before, "terminated_at"))
                    : event.get("revision").asLong() > before.get("revision").asLong();
            if (!newer) return;
        }
        Files.writeString(known, event.toString());
    }

    /** Why not, by the contracts: one goes on, or has ended since the window closed, and then has a window of its own. */
    String cameBack(String customer, Instant windowClosed) throws IOException {
        var folder = contracts.resolve(customer);
        if (!Files.exists(folder)) return null;
        String reason = null;
        try (var files = Files.list(folder)) {
            for (var one : files.map(f -> f.toString().replaceFirst("[.][a-z]+$", "")).distinct().toList()) {
                if (!Files.exists(Path.of(one + ".ended"))) return "contract_active";
                var end = JSON.readTree(Path.of(one + ".ended").toFile());
                var registered = Path.of(one + ".registered");
                if (Files.exists(registered) && !covers(end, JSON.readTree(registered.toFile()))) return "contract_active";
                if (moment(end, "terminated_at").isAfter(windowClosed)) reason = "window_open";
            }
        }
        return reason;
    }

    /** Whether it is this period's end: of one that is over by then, or of one that had begun when somebody ended it early. */
    static boolean covers(JsonNode end, JsonNode contract) {
        var open = !contract.hasNonNull("period_end");
        if (!open && contract.get("period_end").asText().compareTo(end.get("period_end").asText()) <= 0) return true;
        var decided = !Set.of("notice", "expiry").contains(end.get("basis").asText());
        var itsEnd = open && end.hasNonNull("revision") && end.get("revision").asLong() >= contract.get("revision").asLong();
        var begins = LocalDate.parse(contract.get("period_start").asText()).atStartOfDay(ZoneId.of(contract.get("time_zone").asText()));
        return (decided || itsEnd) && begins.withLaterOffsetAtOverlap().toInstant().isBefore(moment(end, "terminated_at"));
    }

    static Instant moment(JsonNode event, String field) {
        return OffsetDateTime.parse(event.get(field).asText()).toInstant();
    }

    /** No part of a folder can be spared, so what has to stay keeps all of it. */
    boolean held(String customer, JsonNode command) throws Exception {
        if (!command.path("keep").isEmpty()) return true;
        // Whoever commands knows of these holds, and that they concern others only.
        var elsewhere = new HashSet<String>();
        for (var id : command.path("holds")) elsewhere.add(digest(id.asText()) + ".placed");
        var folder = holds.resolve(customer);
        if (!Files.exists(folder)) return false;
        try (var files = Files.list(folder)) {
            for (var f : files.filter(f -> f.toString().endsWith(".placed")).toList()) {
                var over = Files.exists(Path.of(f.toString().replace(".placed", ".released")));
                var mine = Files.readString(f).equals("all") || !elsewhere.contains(f.getFileName().toString());
                if (mine && !over) return true;
            }
        }
        return false;
    }

    void command(ConsumerRecord<String, String> record) throws Exception {
        var event = event(record);
        if (!event.get("holder").asText().equals(name)) return;
        var command = event.get("deletion_id").asText() + "|" + event.get("respond_by").asText();
        var kept = answers.resolve(digest(command) + ".json");
        // Out of date: the customer may have come back and left again since. It is commanded anew if that is still right.
        if (!Files.exists(kept) && !moment(event, "respond_by").isAfter(Instant.now())) return;
        // The same command is answered as it was; only what was carried out is an answer for good.
        var answer = Files.exists(kept) ? (ObjectNode) JSON.readTree(kept.toFile()) : answer(event);
        if (answer.get("outcome").get("kind").asText().equals("erased")) Files.writeString(kept, answer.toString());
        send(customer(event), command, answer);
    }

    ObjectNode answer(JsonNode event) throws Exception {
        var answer = JSON.createObjectNode();
        answer.put("customer_id", customer(event)).put("deletion_id", event.get("deletion_id").asText()).put("holder", name);
        answer.set("outcome", outcome(customer(event), event));
        return answer.put("answered_at", Instant.now().toString());
    }

    ObjectNode outcome(String customer, JsonNode command) throws Exception {
        if (moment(command, "window_closed_at").isAfter(Instant.now())) return refused("window_open");
        var before = others(customer);
        // As late as it can be: what is deleted is gone for good.
        hearAll();
        if (held(customer, command)) return refused("held");
        var back = cameBack(customer, moment(command, "window_closed_at"));
        if (back != null) return refused(back);
        var gone = delete(files(customer));
        var after = others(customer);
        var outcome = JSON.createObjectNode().put("kind", "erased");
        outcome.putArray("deleted").addObject().put("table", "files").put("rows", gone);
        // Read again, by another way than the list that was deleted by.
        outcome.putArray("remaining").addObject().put("table", "files").put("rows", files(customer).size());
        outcome.putArray("bystanders").addObject().put("table", "files")
                .put("rows_before", before.size()).put("rows_after", after.size())
                .put("before", digest(before.toString())).put("after", digest(after.toString()));
        return outcome;
    }

    static ObjectNode refused(String reason) {
        return JSON.createObjectNode().put("kind", "not_erased").put("reason", reason);
    }

    List<Path> files(String customer) throws IOException {
        var folder = data.resolve(customer);
        if (!Files.exists(folder)) return List.of();
        try (var found = Files.walk(folder)) {
            return found.filter(Files::isRegularFile).toList();
        }
    }

    static int delete(List<Path> files) throws IOException {
        for (var file : files) Files.delete(file);
        return files.size();
    }

    List<String> others(String customer) throws IOException {
        try (var found = Files.walk(data)) {
            return found.filter(Files::isRegularFile).filter(f -> !data.relativize(f).getName(0).toString().equals(customer))
                    .map(f -> data.relativize(f) + ":" + f.toFile().length()).sorted().toList();
        }
    }

    void send(String customer, String command, ObjectNode answer) throws Exception {
        // Derived from its cause, so that an answer given twice is one event to whoever reads it.
        var id = UUID.nameUUIDFromBytes((name + "|" + command + "|" + answer.get("outcome")).getBytes(StandardCharsets.UTF_8));
        var cloud = JSON.createObjectNode().put("specversion", "1.0").put("id", id.toString()).put("source", "/holders/" + name)
                .put("type", "DeletionAcknowledged").put("subject", customer).put("datacontenttype", "application/json");
        cloud.set("data", answer);
        var record = new ProducerRecord<>(prefix + "DeletionAcknowledged", customer, cloud.toString());
        record.headers().add("content-type", "application/cloudevents+json".getBytes(StandardCharsets.UTF_8));
        producer.send(record).get();
    }
}
