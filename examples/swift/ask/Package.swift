// swift-tools-version: 6.0
// An app of one's own takes the package by its address instead:
//     .package(url: "https://…/satchel.git", from: "0.1.0")
import PackageDescription

let package = Package(
    name: "ask",
    platforms: [.macOS(.v12)],
    dependencies: [.package(name: "satchel", path: "../../..")],
    targets: [
        .executableTarget(
            name: "ask", dependencies: [.product(name: "Satchel", package: "satchel")], path: ".",
            sources: ["main.swift"])
    ]
)
