package namespace

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// nameServer is where programs ask for names that read no hosts file. It is also what the C
// libraries ask when nothing tells them of another.
var nameServer = netip.MustParseAddrPort("127.0.0.1:53")

const (
	answerLife    = 60               // seconds for which an answer counts
	maxQuestion   = 4096             // bytes of a question
	questionTime  = 10 * time.Second // for a question over TCP
	maxQuestioner = 64               // connections with questions at a time
)

// A resolver answers for names; of every other it says that there is none.
type resolver struct{ names map[string]netip.Addr }

// answer is the answer to a question as it stands in a packet; nil: none is due.
func (r *resolver) answer(packet []byte) []byte {
	var parser dnsmessage.Parser
	header, err := parser.Start(packet)
	if err != nil || header.Response {
		return nil
	}
	reply := dnsmessage.Header{ID: header.ID, Response: true, OpCode: header.OpCode, RecursionDesired: header.RecursionDesired, RecursionAvailable: true, Authoritative: true}
	question, err := parser.Question()
	if err != nil {
		reply.RCode = dnsmessage.RCodeFormatError
		return build(reply, nil, netip.Addr{})
	}
	if header.OpCode != 0 {
		reply.RCode = dnsmessage.RCodeNotImplemented
		return build(reply, &question, netip.Addr{})
	}
	address, known := r.resolve(bareName(question.Name.String()), question.Type)
	if !known {
		reply.RCode = dnsmessage.RCodeNameError
	}
	return build(reply, &question, address)
}

// resolve returns the address of a name; none that is valid if it has no such address.
func (r *resolver) resolve(name string, kind dnsmessage.Type) (address netip.Addr, known bool) {
	if name == "localhost" {
		if kind == dnsmessage.TypeAAAA {
			return netip.IPv6Loopback(), true
		}
		return ifType(kind, netip.AddrFrom4([4]byte{127, 0, 0, 1})), true
	}
	if address, known = r.names[name]; !known {
		return netip.Addr{}, false
	}
	return ifType(kind, address), true
}

func ifType(kind dnsmessage.Type, address netip.Addr) netip.Addr {
	if kind == dnsmessage.TypeA || kind == dnsmessage.TypeALL {
		return address
	}
	return netip.Addr{}
}

// build writes an answer.
func build(header dnsmessage.Header, question *dnsmessage.Question, address netip.Addr) []byte {
	message := dnsmessage.Message{Header: header}
	if question != nil {
		message.Questions = []dnsmessage.Question{*question}
	}
	if address.IsValid() {
		about := dnsmessage.ResourceHeader{Name: question.Name, Class: question.Class, TTL: answerLife}
		var body dnsmessage.ResourceBody = &dnsmessage.AAAAResource{AAAA: address.As16()}
		if address.Is4() {
			body = &dnsmessage.AResource{A: address.As4()}
		}
		message.Answers = []dnsmessage.Resource{{Header: about, Body: body}}
	}
	packet, err := message.Pack()
	if err != nil {
		return nil
	}
	return packet
}

// servePackets answers questions until the socket is closed.
func (r *resolver) servePackets(socket net.PacketConn) {
	buffer := make([]byte, maxQuestion)
	for {
		n, from, err := socket.ReadFrom(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // of an answer that nobody waited for
		}
		if answer := r.answer(buffer[:n]); answer != nil {
			_, _ = socket.WriteTo(answer, from) // it may be gone
		}
	}
}

// serveStreams answers questions over TCP until the listener is closed. Connections end with the
// context.
func (r *resolver) serveStreams(ctx context.Context, listener net.Listener) {
	var all sync.WaitGroup
	defer all.Wait()
	places := make(chan struct{}, maxQuestioner)
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		places <- struct{}{}
		all.Go(func() {
			stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
			defer func() { stop(); _ = conn.Close(); <-places }()
			r.serveStream(conn)
		})
	}
}

// serveStream answers the questions of one connection, each with its length before it (RFC 1035
// section 4.2.2).
func (r *resolver) serveStream(conn net.Conn) {
	for {
		if conn.SetDeadline(time.Now().Add(questionTime)) != nil {
			return
		}
		var length [2]byte
		if _, err := io.ReadFull(conn, length[:]); err != nil {
			return
		}
		n := binary.BigEndian.Uint16(length[:])
		if n > maxQuestion {
			return
		}
		packet := make([]byte, n)
		if _, err := io.ReadFull(conn, packet); err != nil {
			return
		}
		answer := r.answer(packet)
		if answer == nil {
			return
		}
		binary.BigEndian.PutUint16(length[:], uint16(len(answer)))
		if _, err := conn.Write(append(length[:], answer...)); err != nil {
			return
		}
	}
}
