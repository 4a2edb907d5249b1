# Prints what the Graph clients did, as tables: a row for each SDK, a row for each command of CLI for Microsoft 365.
# Ways that must be there are named here: what is missing counts as failed.
BEGIN {
	client["python"] = "msgraph-sdk (Python)"
	client["node"] = "@microsoft/microsoft-graph-client (JavaScript)"
	named["here"] = "base URL and host set"
	named["public"] = "public names, no option"
	ways = split("create grant read error pages delta batch identity client", way, " ")
	commands = split("login,app add,app role add,app role list,app get,enterpriseapp add,enterpriseapp get,approleassignment add,approleassignment list,app permission list,approleassignment remove,approleassignment add again,identity", command, ",")
}
{
	version[$1] = $2
	sub(/ +$/, "", $5)
	result[$1, $3, $4] = substr($5, 1, 4) == "FAIL" ? "FAIL" : $5
}
END {
	line = "| client | version | told | "
	rule = "|---|---|---|"
	for (i = 1; i <= ways; i++) {
		line = line way[i] " | "
		rule = rule "---|"
	}
	print substr(line, 1, length(line) - 1)
	print rule
	for (c = 1; c <= 2; c++) {
		who = c == 1 ? "python" : "node"
		for (m = 1; m <= 2; m++) {
			mode = m == 1 ? "here" : "public"
			line = "| " client[who] " | " version[who] " | " named[mode] " |"
			for (i = 1; i <= ways; i++) line = line " " cell(who, mode, way[i]) " |"
			print line
		}
	}
	print ""
	print "| CLI for Microsoft 365 " version["m365"] ", public names | result |"
	print "|---|---|"
	for (i = 1; i <= commands; i++) {
		shown = command[i] == "identity" ? "the identity calls the API" : "`m365 " (command[i] == "login" ? "" : "entra ") command[i] "`"
		print "| " shown " | " cell("m365", "public", command[i]) " |"
	}
}
function cell(who, mode, what) {
	if ((who, mode, "everything") in result) return result[who, mode, "everything"]
	return ((who, mode, what) in result) ? result[who, mode, what] : "FAIL"
}
